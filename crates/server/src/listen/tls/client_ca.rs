//! The authorities that certify clients, and whether a client's chain leads to one (RFC 5280 section 6, by webpki).
//! Judged at the instant of the request, so that an open connection does not outlive its certificate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokensmith_store::Timestamp;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, RootCertStore};

use super::files::{self, Content, Watched};
use super::{CertificateError, ClientCertificate};

/// Why a chain is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainRefusal {
    /// The instant lies outside its validity.
    Expired,
    /// No configured authority stands behind it, or it is not meant for clients.
    Untrusted,
}

/// The authorities in use, which a reload replaces.
#[derive(Debug)]
pub struct ClientCa {
    files: Watched,
    verifier: ArcSwap<Verifier>,
}

#[derive(Debug)]
struct Verifier(Arc<dyn ClientCertVerifier>);

impl ClientCa {
    pub(super) fn load(path: &Path) -> Result<Self, CertificateError> {
        let files = Watched::new([path.to_owned()]);
        let verifier = verifier(&files.read()?, path)?;
        Ok(Self {
            files,
            verifier: ArcSwap::from_pointee(verifier),
        })
    }

    pub(super) fn reload(&self) {
        let Some(changed) = self.files.changed() else {
            return;
        };
        match changed.and_then(|contents| verifier(&contents, &self.files.paths()[0])) {
            Ok(verifier) => {
                self.verifier.store(Arc::new(verifier));
                tracing::info!(target: "tokensmith::listen", "took up the changed client authorities");
            }
            Err(error) => {
                tracing::error!(target: "tokensmith::listen", %error, "cannot use the changed client authorities; the old ones stay");
            }
        }
    }

    /// Follows the chain of a client to an authority.
    ///
    /// # Errors
    /// [`ChainRefusal`].
    pub fn verify(
        &self,
        certificate: &ClientCertificate,
        now: Timestamp,
    ) -> Result<(), ChainRefusal> {
        let since_epoch = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
        let now = UnixTime::since_unix_epoch(since_epoch);
        let verifier = self.verifier.load();
        let verified = verifier.0.verify_client_cert(
            certificate.end_entity(),
            certificate.intermediates(),
            now,
        );
        verified.map(drop).map_err(|error| {
            tracing::debug!(target: "tokensmith::listen", %error, "a client's certificate is refused");
            chain_refusal(&error)
        })
    }
}

fn chain_refusal(error: &rustls::Error) -> ChainRefusal {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    match error {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => ChainRefusal::Expired,
        _ => ChainRefusal::Untrusted,
    }
}

fn verifier(contents: &[Content], path: &Path) -> Result<Verifier, CertificateError> {
    let unusable =
        |error: String| CertificateError(format!("{} cannot be used: {error}", path.display()));
    let content = contents.first().map_or(&[][..], |content| content);
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(content, path)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    built
        .map(Verifier)
        .map_err(|error| unusable(error.to_string()))
}
