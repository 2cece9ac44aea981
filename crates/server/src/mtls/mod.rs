//! Clients and their certificates (RFC 8705): what a client registered of its certificate, whether the one it shows is
//! that, and tokens bound to it. Refuses a registration that says nothing, or that could mean two certificates.

mod public_key;
mod self_signed;
mod subject;

use std::time::Duration;

use tokensmith_oauth2::Confirmation;
use tokensmith_store::{AuthMethod, Client, ClientMetadata, Timestamp};
use x509_cert::{Certificate, der::Decode};

pub use self::{
    self_signed::{SelfSigned, jwks_of_pem},
    subject::Subject,
};

use crate::{
    context::RequestContext,
    error::OAuthError,
    listen::{ChainRefusal, ClientCa, ClientCertificate},
};

/// Why a registration of a certificate is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// RFC 8705 §2.1.2: one and only one of the five members.
    #[error(
        "tls_client_auth needs exactly one of tls_client_auth_subject_dn, _san_dns, _san_uri, _san_ip and _san_email"
    )]
    NotOneSubject,
    /// It is not written as in RFC 4514.
    #[error(
        "tls_client_auth_subject_dn is not a name as RFC 4514 writes it, such as CN=billing,O=Activity (no spaces after commas)"
    )]
    SubjectDn,
    /// It is not an IP address.
    #[error("tls_client_auth_san_ip is not an IP address")]
    Address,
    /// RFC 8705 §2.2.2.
    #[error(
        "self_signed_tls_client_auth needs jwks with at least one certificate (x5c) or public key (EC, RSA or OKP)"
    )]
    NoCertificate,
}

/// Why the certificate of a request does not prove the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// The request came with none.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// The instant lies outside its validity.
    Expired,
    /// It leads to no authority that certifies clients.
    Untrusted,
    /// It is not the one that was registered.
    Other,
    /// The server has no `mtls.client_ca_file`.
    NoAuthorities,
}

impl CertificateRefusal {
    /// The word of logs, metrics and the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "certificate_missing",
            Self::Unreadable => "certificate_unreadable",
            Self::Expired => "certificate_expired",
            Self::Untrusted => "certificate_untrusted",
            Self::Other => "certificate_of_another",
            Self::NoAuthorities => "client_authorities_missing",
        }
    }
}

/// What a client registered of its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// `tls_client_auth` (RFC 8705 §2.1): its subject; an authority vouches for it.
    Certified(Subject),
    /// `self_signed_tls_client_auth` (RFC 8705 §2.2): the very certificate or key.
    SelfSigned(SelfSigned),
}

impl Registration {
    /// What a client of this method registered; `None` when it authenticates without a certificate.
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub fn of(
        method: AuthMethod,
        metadata: &ClientMetadata,
    ) -> Result<Option<Self>, RegistrationError> {
        match method {
            AuthMethod::TlsClientAuth => Subject::of(metadata).map(Self::Certified).map(Some),
            AuthMethod::SelfSignedTlsClientAuth => {
                SelfSigned::of(metadata).map(Self::SelfSigned).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether this certificate is the client's, at this instant.
    ///
    /// # Errors
    /// [`CertificateRefusal`].
    pub fn accepts(
        &self,
        shown: &ClientCertificate,
        authorities: Option<&ClientCa>,
        now: Timestamp,
    ) -> Result<(), CertificateRefusal> {
        let certificate = Certificate::from_der(shown.end_entity())
            .map_err(|_| CertificateRefusal::Unreadable)?;
        let is_the_one = match self {
            Self::Certified(subject) => {
                let authorities = authorities.ok_or(CertificateRefusal::NoAuthorities)?;
                authorities
                    .verify(shown, now)
                    .map_err(|refusal| match refusal {
                        ChainRefusal::Expired => CertificateRefusal::Expired,
                        ChainRefusal::Untrusted => CertificateRefusal::Untrusted,
                    })?;
                subject.is_of(&certificate)
            }
            Self::SelfSigned(registered) => {
                if !is_valid(&certificate, now) {
                    return Err(CertificateRefusal::Expired);
                }
                registered.holds(shown, &certificate)
            }
        };
        is_the_one.then_some(()).ok_or(CertificateRefusal::Other)
    }
}

fn is_valid(certificate: &Certificate, now: Timestamp) -> bool {
    let validity = certificate.tbs_certificate().validity();
    let now = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    // Whole seconds: notAfter itself is still within (RFC 5280 §4.1.2.5).
    let now = Duration::from_secs(now.as_secs());
    (validity.not_before.to_unix_duration()..=validity.not_after.to_unix_duration()).contains(&now)
}

/// The certificate the tokens of this request are bound to (RFC 8705 §3): where the client registered so, and where it
/// authenticated by certificate.
pub fn confirmation(client: &Client, context: &RequestContext) -> Option<Confirmation> {
    let is_bound = wants_bound_tokens(client) || client.auth_method.is_by_certificate();
    let certificate = context.certificate.as_ref().filter(|_| is_bound)?;
    Some(Confirmation::Certificate(certificate.thumbprint()))
}

/// Whether a token may be issued that is bound like this: a client that registered for certificate-bound tokens gets
/// no others, on whichever path.
///
/// # Errors
/// `invalid_request`. Nothing was used up.
pub fn check_binding(
    client: &Client,
    confirmation: Option<Confirmation>,
) -> Result<(), OAuthError> {
    if !wants_bound_tokens(client) || matches!(confirmation, Some(Confirmation::Certificate(_))) {
        return Ok(());
    }
    let sentence =
        "The tokens of this client are bound to a certificate: show it in the TLS handshake.";
    Err(OAuthError::invalid_request("certificate_missing", sentence))
}

fn wants_bound_tokens(client: &Client) -> bool {
    client.metadata.tls_client_certificate_bound_access_tokens
}
