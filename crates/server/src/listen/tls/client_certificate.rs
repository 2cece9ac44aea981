//! The certificate with which a client came (RFC 8705), from the TLS handshake or from a trusted proxy. Whoever has
//! one of these has proof that the client holds its private key; whom it names is not checked yet.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use tokensmith_oauth2::Thumbprint;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Largest certificate taken.
const LARGEST: usize = 16 << 10;
/// Most certificates beside the client's own.
const MOST_INTERMEDIATES: usize = 8;

/// Whether a chain is one that is worth looking at.
pub(super) fn fits(end_entity: &[u8], intermediates: &[CertificateDer<'_>]) -> bool {
    end_entity.len() <= LARGEST
        && intermediates.len() <= MOST_INTERMEDIATES
        && intermediates
            .iter()
            .all(|certificate| certificate.len() <= LARGEST)
}

/// Request extension: the client's certificate and those that lead to its authority. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate(Arc<Chain>);

#[derive(Debug)]
struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    thumbprint: OnceLock<Thumbprint>,
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Chain {}

impl ClientCertificate {
    /// A chain, the client's own certificate first; `None` when it is empty or too large.
    pub fn from_chain(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let (end_entity, intermediates) = certificates.split_first()?;
        if !fits(end_entity, intermediates) {
            return None;
        }
        Some(Self(Arc::new(Chain {
            certificates,
            thumbprint: OnceLock::new(),
        })))
    }

    /// The client's own certificate.
    pub fn end_entity(&self) -> &CertificateDer<'static> {
        &self.0.certificates[0]
    }

    /// The certificates the client sent beside its own.
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.0.certificates[1..]
    }

    /// Its `x5t#S256`.
    pub fn thumbprint(&self) -> Thumbprint {
        *self
            .0
            .thumbprint
            .get_or_init(|| thumbprint(self.end_entity()))
    }
}

/// `x5t#S256` (RFC 8705 section 3.1): SHA-256 of a certificate in DER.
pub fn thumbprint(der: &[u8]) -> Thumbprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, der).as_ref());
    Thumbprint::from(bytes)
}
