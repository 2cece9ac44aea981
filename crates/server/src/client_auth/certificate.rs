//! `tls_client_auth` and `self_signed_tls_client_auth` (RFC 8705 §2): the request names the client, the TLS handshake
//! proved a certificate, and the registration says whether that is the client's.

use super::unknown_or_wrong;
use crate::{
    app::App, context::RequestContext, error::OAuthError, mtls::CertificateRefusal,
    registry::RegisteredClient,
};

/// Whether the certificate of this request is the client's.
pub(super) fn verify(
    app: &App,
    registered: &RegisteredClient,
    context: &RequestContext,
) -> Result<(), OAuthError> {
    let refused = |refusal: CertificateRefusal| unknown_or_wrong(refusal.word());
    let Some(certificate) = &context.certificate else {
        return Err(refused(CertificateRefusal::Missing));
    };
    // A registration that cannot be used accepts nothing.
    let Some(registration) = &registered.certificate else {
        return Err(refused(CertificateRefusal::Other));
    };
    let authorities = app.certificates().client_ca();
    registration
        .accepts(certificate, authorities, context.now)
        .map_err(refused)
}
