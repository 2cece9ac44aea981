//! TLS on the listener's own sockets: TLS 1.3 (RFC 8446) and 1.2 (RFC 5246), rustls over aws-lc-rs.
//! Asks for a client certificate where told to (RFC 8705); refuses early data, renegotiation and older versions.

mod client_ca;
mod client_certificate;
mod files;
mod possession;
mod proxy_header;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, version};
use tokio_rustls::server::TlsStream;

pub use self::client_ca::{ChainRefusal, ClientCa};
pub use self::client_certificate::{ClientCertificate, thumbprint};
pub(super) use self::proxy_header::from_proxy;

use self::files::Watched;
use self::possession::PossessionOnly;
use super::refusal;
use crate::config::{ClientCertificates, Config};

/// The first byte of every TLS handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// How long who sent plain HTTP may read the answer.
const MOMENT: Duration = Duration::from_millis(250);

/// A certificate file that cannot be used. One sentence that names it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(String);

/// Everything the server was configured with of certificates. Empty, and nothing loaded, without TLS.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    tls: Option<Tls>,
    client_ca: Option<Arc<ClientCa>>,
    reload_interval: Duration,
}

impl Certificates {
    /// Reads the configured files.
    ///
    /// # Errors
    /// A file that cannot be read, or a key that is not the certificate's.
    pub fn load(config: &Config) -> Result<Self, CertificateError> {
        Ok(Self {
            tls: Tls::load(config)?,
            client_ca: config
                .mtls
                .client_ca_file
                .as_deref()
                .map(ClientCa::load)
                .transpose()?
                .map(Arc::new),
            reload_interval: config.tls.reload_interval,
        })
    }

    /// TLS of the server's own sockets, if configured.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The authorities that certify clients, if configured.
    pub fn client_ca(&self) -> Option<&ClientCa> {
        self.client_ca.as_deref()
    }

    /// Takes up changed files until dropped. Ends at once when there are none to look at.
    pub async fn follow(&self) {
        if self.tls.is_none() && self.client_ca.is_none() {
            return;
        }
        loop {
            tokio::time::sleep(self.reload_interval).await;
            let again = self.clone();
            // Files on a network may keep one waiting.
            let _ = tokio::task::spawn_blocking(move || again.reload()).await;
        }
    }

    fn reload(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
        if let Some(authorities) = &self.client_ca {
            authorities.reload();
        }
    }
}

/// The server's certificate and how it shakes hands.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Arc<Watched>,
    served: Arc<Served>,
    /// For `listen`.
    usual: Arc<ServerConfig>,
    /// For `mtls.listen`: asks for a certificate.
    asking: Arc<ServerConfig>,
    handshake_timeout: Duration,
}

/// Which of its two faces a socket shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// As `tls.client_certificates` says.
    Usual,
    /// Asks clients for a certificate.
    Asking,
}

impl Tls {
    fn load(config: &Config) -> Result<Option<Self>, CertificateError> {
        let (Some(certificate), Some(key)) =
            (&config.tls.certificate_file, &config.tls.private_key_file)
        else {
            return Ok(None);
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let files = Watched::new([certificate.clone(), key.clone()]);
        let served = Arc::new(Served::new(certified(
            &files.read()?,
            files.paths(),
            &provider,
        )?));
        let asking = Arc::new(server_config(&provider, &served, true)?);
        let usual = match config.tls.client_certificates {
            ClientCertificates::Off => Arc::new(server_config(&provider, &served, false)?),
            ClientCertificates::Optional => asking.clone(),
        };
        Ok(Some(Self {
            files: Arc::new(files),
            served,
            usual,
            asking,
            handshake_timeout: config.tls.handshake_timeout,
        }))
    }

    /// Takes up changed files; what cannot be used is logged once and the old certificate stays.
    fn reload(&self) {
        let provider = aws_lc_rs::default_provider();
        let Some(changed) = self.files.changed() else {
            return;
        };
        let taken =
            changed.and_then(|contents| certified(&contents, self.files.paths(), &provider));
        match taken {
            Ok(key) => {
                self.served.0.store(Arc::new(key));
                tracing::info!(target: "tokensmith::listen", "took up the changed TLS certificate");
            }
            Err(error) => {
                tracing::error!(target: "tokensmith::listen", %error, "cannot use the changed TLS certificate; the old one stays");
            }
        }
    }

    /// Shakes hands within the time limit. `None` when that failed, and then the connection is over.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        face: Face,
    ) -> Option<Box<TlsStream<TcpStream>>> {
        match tokio::time::timeout(self.handshake_timeout, self.shake_hands(stream, face)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(target: "tokensmith::listen", %error, "no TLS handshake");
                None
            }
            Err(_) => {
                tracing::debug!(target: "tokensmith::listen", "the TLS handshake took too long");
                None
            }
        }
    }

    async fn shake_hands(
        &self,
        mut stream: TcpStream,
        face: Face,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0u8];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            let _ = tokio::time::timeout(MOMENT, explain(&mut stream)).await;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "what arrived is not TLS",
            ));
        }
        let config = match face {
            Face::Usual => &self.usual,
            Face::Asking => &self.asking,
        };
        TlsAcceptor::from(config.clone()).accept(stream).await
    }
}

/// Plain HTTP on a TLS port gets a sentence, because "connection reset" helps nobody.
async fn explain(stream: &mut TcpStream) -> io::Result<()> {
    let sentence = "This port speaks TLS: use https.";
    stream
        .write_all(&refusal::raw_with(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            sentence,
        ))
        .await?;
    stream.shutdown().await?;
    let mut space = [0u8; 4096];
    while stream.read(&mut space).await? > 0 {}
    Ok(())
}

/// The certificate in use, which a reload replaces.
#[derive(Debug)]
struct Served(ArcSwap<CertifiedKey>);

impl Served {
    fn new(key: CertifiedKey) -> Self {
        Self(ArcSwap::from_pointee(key))
    }
}

impl ResolvesServerCert for Served {
    /// One certificate for every name: with a certificate for one server, SNI chooses nothing.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified(
    contents: &[files::Content],
    paths: &[PathBuf],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let [certificate, key] = contents else {
        return Err(CertificateError(
            "certificate and key are two files".to_owned(),
        ));
    };
    let chain = files::certificates(certificate, &paths[0])?;
    let key = files::private_key(key, &paths[1])?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        let (certificate, key) = (paths[0].display(), paths[1].display());
        CertificateError(format!(
            "the private key in {key} does not fit the certificate in {certificate}: {error}"
        ))
    })
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    served: &Arc<Served>,
    asks: bool,
) -> Result<ServerConfig, CertificateError> {
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| CertificateError(format!("TLS cannot be set up: {error}")))?;
    let builder = if asks {
        builder.with_client_cert_verifier(Arc::new(PossessionOnly::new(provider)))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_cert_resolver(served.clone());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed TLS 1.2 session keeps the client's certificate, so it must be bound to its handshake (RFC 7627).
    config.require_ems = asks;
    Ok(config)
}
