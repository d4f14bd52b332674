//! Our certificate, and how a certificate is recognised (RFC 8122).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::secure;

/// A self-signed certificate, and what every DTLS session with it shares.
#[derive(Clone)]
pub struct Certificate {
    own: dimpl::DtlsCertificate,
    fingerprint: Fingerprint,
    config: Arc<dimpl::Config>,
}

/// No certificate could be made: the cryptography does not work on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate for DTLS: {0}")]
pub struct CertificateError(String);

/// The hash of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The textual name, as in RFC 8122; case does not matter.
    pub hash: String,
    pub bytes: Vec<u8>,
}

impl Certificate {
    /// A new key (ECDSA, P-256) and a certificate for a year.
    ///
    /// # Errors
    ///
    /// If there is no randomness, or the cryptographic library fails its checks.
    pub fn generate() -> Result<Certificate, CertificateError> {
        let own = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|error| CertificateError(error.to_string()))?;
        let config = secure::config(None).map_err(|error| CertificateError(error.to_string()))?;
        let fingerprint = Fingerprint {
            hash: "sha-256".to_owned(),
            bytes: hashed(&digest::SHA256, &own.certificate),
        };
        Ok(Certificate {
            own,
            fingerprint,
            config: Arc::new(config),
        })
    }

    /// By which others recognise it.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    pub(super) fn own(&self) -> dimpl::DtlsCertificate {
        self.own.clone()
    }

    pub(super) fn config(&self) -> Arc<dimpl::Config> {
        self.config.clone()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Fingerprint {
    /// Whether it is of this certificate (DER); None if its hash is unknown.
    pub(super) fn is_of(&self, certificate: &[u8]) -> Option<bool> {
        let algorithm = match self.hash.to_ascii_lowercase().as_str() {
            "sha-256" => &digest::SHA256,
            "sha-384" => &digest::SHA384,
            "sha-512" => &digest::SHA512,
            // Some still announce it; a second certificate for a given one cannot be made yet.
            "sha-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            _ => return None,
        };
        Some(hashed(algorithm, certificate) == self.bytes)
    }
}

fn hashed(algorithm: &'static digest::Algorithm, certificate: &[u8]) -> Vec<u8> {
    digest::digest(algorithm, certificate).as_ref().to_vec()
}
