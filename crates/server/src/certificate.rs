//! The web server's certificate: from files, or made here and kept in the data folder.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate, TimeDelta, Utc};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;

use crate::addresses::Addresses;
use crate::config::CertificateFiles;
use crate::data_folder::{DataFolder, FolderError};

/// A certificate ready for use.
pub(crate) struct Certificate {
    pub(crate) tls: Arc<ServerConfig>,
    /// SHA-256 of the certificate, as browsers show it.
    pub(crate) fingerprint: String,
    /// We made it ourselves, so browsers warn.
    pub(crate) is_self_made: bool,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("certificate and key do not work together: {0}")]
    Mismatch(rustls::Error),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
}

impl Certificate {
    /// Reads a certificate from files.
    pub(crate) fn from_files(files: &CertificateFiles) -> Result<Certificate, CertificateError> {
        let chain = read_chain(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| file_error(&files.key, &error))?;
        Certificate::new(chain, key, false)
    }

    /// The certificate of the data folder. It is made anew when it does not cover an address or a
    /// name that this machine has now, and some time before it expires.
    pub(crate) fn self_made(
        folder: &DataFolder,
        addresses: &Addresses,
    ) -> Result<Certificate, CertificateError> {
        let names = covered(addresses);
        let (certificate, key) = (folder.file(CERTIFICATE), folder.file(KEY));
        if is_young(&certificate)
            && let Ok(chain) = read_chain(&certificate)
            && chain.first().is_some_and(|first| covers(first, &names))
            && let Ok(key) = PrivateKeyDer::from_pem_file(&key)
            && let Ok(kept) = Certificate::new(chain, key, true)
        {
            return Ok(kept);
        }
        let key = KeyPair::generate()?;
        let made = parameters(names)?.self_signed(&key)?;
        folder.write(KEY, key.serialize_pem().as_bytes())?;
        folder.write(CERTIFICATE, made.pem().as_bytes())?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Certificate::new(vec![made.der().clone()], key, true)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        is_self_made: bool,
    ) -> Result<Certificate, CertificateError> {
        let fingerprint = chain
            .first()
            .map(|first| fingerprint(first))
            .unwrap_or_default();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(CertificateError::Mismatch)?;
        // One port may speak both (RFC 7443); who names neither gets what the first byte says.
        tls.alpn_protocols = vec![b"http/1.1".to_vec(), b"stun.turn".to_vec()];
        Ok(Certificate {
            tls: Arc::new(tls),
            fingerprint,
            is_self_made,
        })
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(path, &error))?;
    if chain.is_empty() {
        return Err(file_error(path, &"holds no PEM certificate"));
    }
    Ok(chain)
}

fn file_error(path: &Path, reason: &dyn std::fmt::Display) -> CertificateError {
    CertificateError::File {
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}

/// All that browsers on this machine and its networks may call us.
fn covered(addresses: &Addresses) -> Vec<String> {
    let local = ["127.0.0.1".to_owned(), "::1".to_owned()];
    let mut names = vec!["localhost".to_owned()];
    names.extend(
        addresses
            .names
            .iter()
            .filter(|name| is_dns_name(name))
            .cloned(),
    );
    names.extend(local);
    names.extend(addresses.network.iter().map(IpAddr::to_string));
    names
}

fn is_dns_name(name: &str) -> bool {
    matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_)))
}

fn covers(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
        return false;
    };
    names.iter().all(|name| {
        ServerName::try_from(name.as_str())
            .is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    })
}

/// Whether our own certificate file is far from the end of its validity.
fn is_young(path: &Path) -> bool {
    let age = |path: &Path| -> io::Result<_> {
        let modified = std::fs::metadata(path)?.modified()?;
        Ok(std::time::SystemTime::now()
            .duration_since(modified)
            .unwrap_or_default())
    };
    age(path).is_ok_and(|age| age.as_secs() < RENEWED_AFTER_DAYS * 86_400)
}

fn parameters(names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Tertulia (self-made)");
    parameters.distinguished_name = subject;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = Utc::now().date_naive();
    // Yesterday, for clients whose clock is behind.
    let day = |day: NaiveDate| rcgen::date_time_ymd(day.year(), day.month() as u8, day.day() as u8);
    parameters.not_before = day(today - TimeDelta::days(1));
    parameters.not_after = day(today + TimeDelta::days(VALID_DAYS));
    Ok(parameters)
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    let mut text = String::new();
    for (index, byte) in digest.as_ref().iter().enumerate() {
        let colon = if index == 0 { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "certificate.key";
/// What browsers accept at most of certificates that people install themselves.
const VALID_DAYS: i64 = 397;
const RENEWED_AFTER_DAYS: u64 = 365;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_while_it_covers_this_machine() {
        let path = std::env::temp_dir().join(format!("tertulia-{}-cert", std::process::id()));
        let folder = DataFolder::open(&path).unwrap();
        let mut addresses = Addresses {
            network: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            names: vec!["desk".to_owned(), "desk.local".to_owned()],
            ..Addresses::default()
        };
        let made = Certificate::self_made(&folder, &addresses).unwrap();
        assert_eq!(made.fingerprint.len(), 95);
        let kept = Certificate::self_made(&folder, &addresses).unwrap();
        assert_eq!(kept.fingerprint, made.fingerprint);
        addresses.network.push("192.0.2.2".parse().unwrap());
        let anew = Certificate::self_made(&folder, &addresses).unwrap();
        assert_ne!(anew.fingerprint, made.fingerprint);
        let files = CertificateFiles {
            certificate: folder.file(CERTIFICATE),
            key: folder.file(KEY),
        };
        let read = Certificate::from_files(&files).unwrap();
        assert_eq!(read.fingerprint, anew.fingerprint);
        assert!(!read.is_self_made);
        let files = CertificateFiles {
            certificate: folder.file(KEY),
            key: folder.file(KEY),
        };
        assert!(Certificate::from_files(&files).is_err());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
