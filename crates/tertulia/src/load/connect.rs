//! TCP, TLS, HTTP and WebSockets as a client, with errors that name the fix.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub(super) type WebSocket = WebSocketStream<Stream>;
pub(super) type Stream = Box<dyn Io>;

/// Plain or encrypted.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Opens connections to web servers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connector {
    tls: TlsConnector,
}

/// Why nothing came of a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{0} is no address of a web server; expected https://HOST[:PORT]")]
    Url(String),
    #[error("cannot reach {place}: {error}; is the server running, and is this its port?")]
    Unreachable { place: Place, error: io::Error },
    #[error("{0} does not answer within 10 s; is a firewall between?")]
    Silent(Place),
    #[error(
        "the certificate of {place} is not trusted ({error}); for a self-made one add --insecure, \
         for one of your own authority name its file in SSL_CERT_FILE"
    )]
    Certificate { place: Place, error: rustls::Error },
    #[error(
        "{0} closed the connection before it answered; servers do that to an address with too many \
         new connections (Tertulia: limits.new_connections_per_second and \
         limits.unauthenticated_connections_per_address): lower --join-rate or raise them"
    )]
    Closed(Place),
    #[error("{url} answers with HTTP status {status}{}", status_hint(*.status))]
    Status { url: String, status: u16 },
    #[error("{place}: {error}")]
    Other { place: Place, error: String },
}

/// A host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) is_secure: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Place {
    /// Where `http`, `https`, `ws` and `wss` URLs lead.
    pub(super) fn of(url: &str) -> Result<Place, ConnectError> {
        let wrong = || ConnectError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let is_secure = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => return Err(wrong()),
        };
        let host = uri.host().ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Place {
            is_secure,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Connector {
    /// Trusts this machine's certificate authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` name
    /// others), or whatever comes.
    pub(super) fn new(is_insecure: bool) -> Connector {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3");
        let config = if is_insecure {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anything(provider)))
                .with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            // Where there are none, nothing is trusted, and the error says so.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots).with_no_client_auth()
        };
        Connector {
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    /// The status and body of a resource.
    pub(super) async fn get(&self, url: &str) -> Result<(u16, String), ConnectError> {
        self.exchange(url, "GET", String::new()).await
    }

    /// Posts JSON; the status and body of the answer.
    pub(super) async fn post(
        &self,
        url: &str,
        json: String,
    ) -> Result<(u16, String), ConnectError> {
        self.exchange(url, "POST", json).await
    }

    async fn exchange(
        &self,
        url: &str,
        method: &str,
        body: String,
    ) -> Result<(u16, String), ConnectError> {
        let place = Place::of(url)?;
        let work = async {
            let stream = self.open(&place).await?;
            let wrong = |error: hyper::Error| match error.is_incomplete_message() {
                true => ConnectError::Closed(place.clone()),
                false => other(&place, &error),
            };
            let uri: Uri = url.parse().map_err(|_| ConnectError::Url(url.to_owned()))?;
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            let host = uri.authority().map_or("", |authority| authority.as_str());
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(HOST, host)
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(body)))
                .map_err(|error| other(&place, &error))?;
            let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
            let (mut sender, connection) = handshake.await.map_err(wrong)?;
            let answer = async {
                let response = sender.send_request(request).await.map_err(wrong)?;
                let status = response.status().as_u16();
                let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
                let body = body.map_err(|error| other(&place, &error))?.to_bytes();
                Ok((status, String::from_utf8_lossy(&body).into_owned()))
            };
            // The connection does the work; it ends after the answer, or with an error that the
            // answer shows as well.
            tokio::select! {
                answer = answer => answer,
                () = drive(connection) => Err(ConnectError::Closed(place.clone())),
            }
        };
        let finished = timeout(PATIENCE, work).await;
        finished.unwrap_or_else(|_| Err(ConnectError::Silent(place.clone())))
    }

    /// Opens a WebSocket.
    pub(super) async fn websocket(
        &self,
        url: &str,
        protocol: Option<&'static str>,
    ) -> Result<WebSocket, ConnectError> {
        let place = Place::of(url)?;
        let mut request = url
            .into_client_request()
            .map_err(|_| ConnectError::Url(url.to_owned()))?;
        if let Some(protocol) = protocol {
            let value = HeaderValue::from_static(protocol);
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        }
        let work = async {
            let stream = self.open(&place).await?;
            // One message at a time; what stands by costs little with hundreds of participants.
            let config = WebSocketConfig::default()
                .read_buffer_size(4096)
                .write_buffer_size(0);
            let dialled =
                tokio_tungstenite::client_async_with_config(request, stream, Some(config));
            match dialled.await {
                Ok((socket, _)) => Ok(socket),
                Err(tungstenite::Error::Http(response)) => Err(ConnectError::Status {
                    // The query may hold a password.
                    url: url.split('?').next().unwrap_or_default().to_owned(),
                    status: response.status().as_u16(),
                }),
                Err(error) if is_end(&error) => Err(ConnectError::Closed(place.clone())),
                Err(error) => Err(other(&place, &error)),
            }
        };
        let finished = timeout(PATIENCE, work).await;
        finished.unwrap_or_else(|_| Err(ConnectError::Silent(place.clone())))
    }

    async fn open(&self, place: &Place) -> Result<Stream, ConnectError> {
        let tcp = TcpStream::connect((place.host.as_str(), place.port)).await;
        let tcp = tcp.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionReset => ConnectError::Closed(place.clone()),
            _ => ConnectError::Unreachable {
                place: place.clone(),
                error,
            },
        })?;
        // Small messages are not to wait for each other.
        let _ = tcp.set_nodelay(true);
        if !place.is_secure {
            return Ok(Box::new(tcp));
        }
        let name = ServerName::try_from(place.host.clone())
            .map_err(|_| ConnectError::Url(place.to_string()))?;
        match self.tls.connect(name, tcp).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(tls_error(place, error)),
        }
    }
}

/// Never ends.
async fn drive(connection: impl Future) {
    connection.await;
    std::future::pending().await
}

fn tls_error(place: &Place, error: io::Error) -> ConnectError {
    let place = place.clone();
    let reason = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    match reason {
        Some(reason @ rustls::Error::InvalidCertificate(_)) => ConnectError::Certificate {
            place,
            error: reason.clone(),
        },
        Some(rustls::Error::InvalidMessage(_)) => ConnectError::Other {
            place,
            error: "speaks no TLS; is http:// meant instead of https://?".to_owned(),
        },
        Some(reason) => other(&place, reason),
        None => ConnectError::Closed(place),
    }
}

fn is_end(error: &tungstenite::Error) -> bool {
    match error {
        tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed => true,
        tungstenite::Error::Protocol(error) => {
            matches!(
                error,
                tungstenite::error::ProtocolError::HandshakeIncomplete
            )
        }
        _ => false,
    }
}

fn other(place: &Place, error: &dyn fmt::Display) -> ConnectError {
    ConnectError::Other {
        place: place.clone(),
        error: error.to_string(),
    }
}

fn status_hint(status: u16) -> &'static str {
    match status {
        400 | 404 => "; is that the meetings' address? --websocket names another",
        403 => "; the server does not serve this host name or origin",
        429 => "; too many requests: lower --join-rate",
        503 => "; the server is stopping or full",
        _ => "",
    }
}

/// Believes every certificate.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
/// A `config.js` of some hundred kilobytes would be strange.
const BODY_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_urls() {
        let check = |url: &str, is_secure, host: &str, port| {
            let place = Place::of(url).unwrap();
            let expected = Place {
                is_secure,
                host: host.to_owned(),
                port,
            };
            assert_eq!(place, expected, "{url}");
        };
        check(
            "https://meet.example.org/tea",
            true,
            "meet.example.org",
            443,
        );
        check(
            "wss://meet.example.org/x?y=z",
            true,
            "meet.example.org",
            443,
        );
        check("http://localhost:8080", false, "localhost", 8080);
        check("ws://[::1]:8080/", false, "::1", 8080);
        for wrong in ["meet.example.org", "ftp://x", "https://", "/tea"] {
            assert!(Place::of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            Place::of("http://[::1]:80").unwrap().to_string(),
            "[::1]:80"
        );
    }
}
