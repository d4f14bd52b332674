//! Starting: fast, with everything or with one line.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::server::{Folder, Server, free_port, run};

#[tokio::test]
async fn ready_within_a_second() {
    let data = Folder::new();
    let before = Instant::now();
    let server = Server::start(&data).await;
    let took = before.elapsed();
    println!("ready after {took:?}, new certificate included");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(
        server.greeting.starts_with("Tertulia is ready.\n"),
        "{}",
        server.greeting
    );
    assert_eq!(server.web.get("/").await.0, 200);
}

#[tokio::test]
async fn a_second_server_is_noticed() {
    let (data, other) = (Folder::new(), Folder::new());
    let https = format!("127.0.0.1:{}", free_port());
    let server = Server::start_with(&data, &["--listen", &https]).await;
    let http = server.web.address.to_string();
    let media = server.media.port().to_string();
    let folder = other.0.to_str().unwrap();
    let free = "127.0.0.1:0";
    let cases = [
        (
            [&*https, free, "0"],
            format!("HTTPS port {https}"),
            "--listen",
        ),
        (
            [free, &*http, "0"],
            format!("HTTP port {http}"),
            "--listen-plain",
        ),
        (
            [free, free, &*media],
            format!("UDP port {media}"),
            "--media-port",
        ),
    ];
    for ([listen, plain, port], what, flag) in cases {
        let arguments = [
            "serve",
            "--data",
            folder,
            "--listen",
            listen,
            "--listen-plain",
            plain,
            "--media-port",
            port,
        ];
        let line = refusal(&run(&arguments).await, 1);
        assert!(
            line.contains(&what) && line.contains("already in use"),
            "{line}"
        );
        assert!(line.contains(flag), "{line}");
    }
    assert_eq!(server.web.get("/").await.0, 200, "the first one goes on");
}

#[tokio::test]
async fn mistakes_in_the_configuration_are_named() {
    let folder = Folder::new();
    let file = folder.0.join("tertulia.toml");
    std::fs::write(&file, "[bridge]\nwrokers = 2\n").unwrap();
    let line = refusal(
        &run(&["serve", "--config", file.to_str().unwrap()]).await,
        2,
    );
    assert_eq!(
        line,
        "tertulia: bridge.wrokers: no such key; did you mean bridge.workers?"
    );
    assert!(!folder.0.join("tertulia-data").exists());

    std::fs::write(&file, "[bridge]\nwrokers = 2\nport = \"x\"\n").unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]).await;
    assert_eq!(
        String::from_utf8_lossy(&output.stderr).lines().count(),
        2,
        "all at once"
    );

    let line = refusal(&run(&["serve", "--cert", "only.pem"]).await, 2);
    assert!(line.contains("--key"), "{line}");
    assert_eq!(run(&["serve", "--lisen", "x"]).await.status.code(), Some(2));
    assert_eq!(run(&[]).await.status.code(), Some(0), "help");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written() {
    let folder = Folder::new();
    let file = folder.0.join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.join("data");
    let free = "127.0.0.1:0";
    let line = refusal(
        &run(&[
            "serve",
            "--data",
            data.to_str().unwrap(),
            "--listen",
            free,
            "--listen-plain",
            free,
        ])
        .await,
        1,
    );
    assert!(
        line.contains(data.to_str().unwrap()) && line.contains("--data"),
        "{line}"
    );
}

#[tokio::test]
async fn https_shows_the_printed_certificate_and_keeps_it() {
    let data = Folder::new();
    let https = format!("127.0.0.1:{}", free_port());
    let mut server = Server::start_with(&data, &["--listen", &https]).await;
    let seen = certificate_of(&https).await;
    assert!(
        server.greeting.contains(&seen),
        "{seen} in {}",
        server.greeting
    );
    let key = std::fs::metadata(data.0.join("certificate.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    server.signal("TERM");
    server.ended().await;
    let _again = Server::start_with(&data, &["--listen", &https]).await;
    assert_eq!(certificate_of(&https).await, seen);
}

/// The one line on standard error; nothing is said on standard output.
fn refusal(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(error.lines().count(), 1, "{error}");
    error.trim_end().to_owned()
}

/// SHA-256 of the certificate that a server shows.
async fn certificate_of(address: &str) -> String {
    let seen = Arc::new(Seen::default());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let certificate = seen.0.lock().unwrap().clone();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    let hex: Vec<String> = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    hex.join(":")
}

/// Accepts any certificate and remembers it.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<u8>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![
            rustls::SignatureScheme::ECDSA_NISTP256_SHA256,
            rustls::SignatureScheme::ED25519,
            rustls::SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}
