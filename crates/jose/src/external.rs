//! Keys that this process does not hold: an external signer makes the signature, for instance a hardware module's
//! agent. Every signature it answers with is verified before it goes out, so a confused signer never makes a bad token.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use serde::Serialize;

use crate::signer::{WrittenHeader, prefix};
use crate::{Jwk, KeyError, SignError, VerifyingKey, base64url};

/// What an external signer answers with, some time later: the raw signature of RFC 7518 section 3, or the reason.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// Holds one private key and signs with it.
pub trait ExternalSigner: Send + Sync + 'static {
    /// Signs a message. Bounds its own time and how much it does at once.
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a>;
}

/// Signs tokens of one `typ` with the key of an external signer.
#[derive(Clone)]
pub struct TokenSigner {
    key: VerifyingKey,
    prefix: String,
    external: Arc<dyn ExternalSigner>,
}

impl TokenSigner {
    /// A signer for the key with this public half, which names `kid` and `alg`.
    ///
    /// # Errors
    /// [`KeyError`] for a public half that cannot verify or lacks one of the two.
    pub fn new(
        public: &Jwk,
        external: Arc<dyn ExternalSigner>,
        typ: &str,
    ) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_jwk(public)?;
        let header = WrittenHeader {
            alg: key.algorithm().as_str(),
            typ,
            kid: Some(key.kid().ok_or(KeyError::Malformed)?),
            jwk: None,
        };
        let prefix = prefix(&header).map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            key,
            prefix,
            external,
        })
    }

    /// Serializes the claims, has them signed, and checks the signature.
    ///
    /// # Errors
    /// [`SignError::Claims`], or [`SignError::External`] when the signer fails or answers with a wrong signature.
    pub async fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        let payload = serde_json::to_vec(claims)?;
        let mut token = self.prefix.clone();
        base64url::append(&payload, &mut token);
        let signature = self.external.sign(token.as_bytes()).await;
        let signature = signature.map_err(SignError::External)?;
        let verified = self.key.verify(token.as_bytes(), &signature);
        verified.map_err(|_| SignError::External("its signature is wrong".to_owned()))?;
        token.push('.');
        base64url::append(&signature, &mut token);
        Ok(token)
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({:?})", self.key)
    }
}
