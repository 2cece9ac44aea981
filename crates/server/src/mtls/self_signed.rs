//! The certificates of `self_signed_tls_client_auth` (RFC 8705 §2.2.2), from the client's `jwks`: a key with `x5c` or
//! `x5t#S256` stands for that very certificate, a key without for every certificate of that key.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokensmith_jose::{Jwk, MAX_KEYS};
use tokensmith_oauth2::Thumbprint;
use tokensmith_store::ClientMetadata;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{Certificate, der::Decode};

use super::{RegistrationError, public_key};
use crate::listen::{ClientCertificate, thumbprint};

/// What the client registered, one entry a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfSigned(Vec<Registered>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Registered {
    Certificate(Thumbprint),
    /// The RFC 7638 thumbprint of a public key.
    Key(String),
}

impl SelfSigned {
    pub(super) fn of(metadata: &ClientMetadata) -> Result<Self, RegistrationError> {
        let keys = metadata
            .jwks
            .as_ref()
            .and_then(|jwks| jwks.get("keys")?.as_array());
        let keys = keys.filter(|keys| keys.len() <= MAX_KEYS);
        let registered: Vec<_> = keys.into_iter().flatten().filter_map(registered).collect();
        if registered.is_empty() {
            return Err(RegistrationError::NoCertificate);
        }
        Ok(Self(registered))
    }

    pub(super) fn holds(&self, shown: &ClientCertificate, certificate: &Certificate) -> bool {
        let by_key = || public_key::jwk(certificate).and_then(|key| key.thumbprint());
        self.0.iter().any(|registered| match registered {
            Registered::Certificate(thumbprint) => *thumbprint == shown.thumbprint(),
            Registered::Key(key) => by_key().as_ref() == Some(key),
        })
    }
}

/// The `jwks` that registers a certificate in PEM; `None` when it cannot be read or has a key of another kind.
pub fn jwks_of_pem(pem: &[u8]) -> Option<Value> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    let mut key = serde_json::to_value(public_key::jwk(&certificate)?).ok()?;
    key["x5c"] = json!([STANDARD.encode(&der)]);
    Some(json!({"keys": [key]}))
}

/// A member that cannot be read registers nothing, also when the key beside it could be.
fn registered(key: &Value) -> Option<Registered> {
    if let Some(chain) = key.get("x5c") {
        let der = STANDARD.decode(chain.get(0)?.as_str()?).ok()?;
        return Some(Registered::Certificate(thumbprint(&der)));
    }
    if let Some(text) = key.get("x5t#S256") {
        return Some(Registered::Certificate(text.as_str()?.parse().ok()?));
    }
    let key: Jwk = serde_json::from_value(key.clone()).ok()?;
    key.thumbprint().map(Registered::Key)
}
