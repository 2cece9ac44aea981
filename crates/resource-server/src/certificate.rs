//! The certificate that the caller showed in the TLS handshake (RFC 8705 section 3), as the service's own TLS or a
//! proxy it trusts says. This library reads it from no header field: whoever may write one could name any certificate.

use aws_lc_rs::digest;
use tokensmith_oauth2::Thumbprint;

/// The caller's certificate, a request extension that the service inserts. A token that is bound to a certificate is
/// refused without it, or with another one.
///
/// ```
/// use axum::http::Request;
/// use tokensmith_resource_server::ClientCertificate;
///
/// # let der: &[u8] = &[];
/// let mut request = Request::new(axum::body::Body::empty());
/// // `der`: what `peer_certificates()` of the TLS connection has first.
/// request.extensions_mut().insert(ClientCertificate::from_der(der));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCertificate(Thumbprint);

impl ClientCertificate {
    /// The caller's own certificate, in DER, whose private key the caller has proved to have.
    pub fn from_der(certificate: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        Self(bytes.into())
    }

    /// Whether a token with this `x5t#S256` may be used with it.
    pub(crate) fn is(self, bound: Thumbprint) -> bool {
        self.0 == bound
    }
}
