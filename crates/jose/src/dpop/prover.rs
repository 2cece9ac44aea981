//! Makes proofs with one key (RFC 9449 section 4.2).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand;
use serde::Serialize;
use tokensmith_oauth2::Thumbprint;

use super::{ALGORITHMS, Request, TYPE, token_hash};
use crate::{KeyError, SignError, Signer, SigningKey, base64url};

/// A client's key and the proof header that shows its public half.
#[derive(Clone)]
pub struct Prover {
    signer: Signer,
    key: Thumbprint,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: &'a str,
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl Prover {
    /// Proves with this key.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for a key whose signatures no proof may have.
    pub fn new(key: Arc<SigningKey>) -> Result<Self, KeyError> {
        if !ALGORITHMS.contains(&key.algorithm()) {
            return Err(KeyError::Algorithm);
        }
        let thumbprint = key.kid().parse().map_err(|_| KeyError::Malformed)?;
        let signer = Signer::showing_key(key, TYPE).map_err(|_| KeyError::Library)?;
        Ok(Self {
            signer,
            key: thumbprint,
        })
    }

    /// The key (RFC 7638): the `jkt` of what is bound to it.
    pub fn key(&self) -> Thumbprint {
        self.key
    }

    /// A new proof for one request; its query and fragment are left out.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn prove(&self, request: &Request<'_>, nonce: Option<&str>) -> Result<String, SignError> {
        let mut jti = [0; 16];
        rand::fill(&mut jti).map_err(|_| SignError::Library)?;
        self.signer.sign(&Claims {
            jti: &base64url::encode(&jti),
            htm: request.method,
            htu: super::address::bare(request.url),
            iat: request.now,
            ath: request.access_token.map(token_hash),
            nonce,
        })
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prover({})", self.key)
    }
}
