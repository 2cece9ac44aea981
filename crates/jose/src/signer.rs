//! Compact JWS with the header segment encoded once (RFC 7515 section 7.1). Writes no unprotected header and no `crit`.

use std::sync::Arc;

use aws_lc_rs::hmac;
use serde::Serialize;

use crate::{Algorithm, HmacKey, Jwk, SignError, SigningKey, base64url};

/// Room for the claims of an ordinary access token, so that one allocation serves.
const CLAIMS_CAPACITY: usize = 768;

/// Signs tokens of one `typ` with one key.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Key,
    /// The header segment and its full stop.
    prefix: String,
}

#[derive(Clone, Debug)]
enum Key {
    Private(Arc<SigningKey>),
    Shared(HmacKey),
}

#[derive(Serialize)]
pub(crate) struct WrittenHeader<'a> {
    pub(crate) alg: &'static str,
    pub(crate) typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwk: Option<Jwk>,
}

impl Signer {
    /// A signer whose header holds the key's `alg` and `kid` and this `typ`.
    ///
    /// # Errors
    /// [`SignError::Claims`] should the header not serialize.
    pub fn new(key: Arc<SigningKey>, typ: &str) -> Result<Self, SignError> {
        let header = WrittenHeader {
            alg: key.algorithm().as_str(),
            typ,
            kid: Some(key.kid()),
            jwk: None,
        };
        Ok(Self {
            prefix: prefix(&header)?,
            key: Key::Private(key),
        })
    }

    /// A signer whose header shows the public key itself and no `kid` (RFC 9449 section 4.2).
    pub(crate) fn showing_key(key: Arc<SigningKey>, typ: &str) -> Result<Self, SignError> {
        let jwk = Jwk {
            kid: None,
            alg: None,
            usage: None,
            ..key.public_jwk().clone()
        };
        let header = WrittenHeader {
            alg: key.algorithm().as_str(),
            typ,
            kid: None,
            jwk: Some(jwk),
        };
        Ok(Self {
            prefix: prefix(&header)?,
            key: Key::Private(key),
        })
    }

    /// An HS256 signer, for resource servers that still share a secret; the header holds no `kid`.
    ///
    /// # Errors
    /// [`SignError::Claims`] should the header not serialize.
    pub fn hs256(key: HmacKey, typ: &str) -> Result<Self, SignError> {
        let header = WrittenHeader {
            alg: Algorithm::Hs256.as_str(),
            typ,
            kid: None,
            jwk: None,
        };
        Ok(Self {
            prefix: prefix(&header)?,
            key: Key::Shared(key),
        })
    }

    /// Serializes the claims and signs them.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        let mut payload = Vec::with_capacity(CLAIMS_CAPACITY);
        serde_json::to_writer(&mut payload, claims)?;
        self.sign_bytes(&payload)
    }

    /// Signs a payload as it stands; the token is allocated once.
    ///
    /// # Errors
    /// [`SignError::Library`].
    pub fn sign_bytes(&self, payload: &[u8]) -> Result<String, SignError> {
        let mut token = String::with_capacity(self.token_len(payload.len()));
        token.push_str(&self.prefix);
        base64url::append(payload, &mut token);
        match &self.key {
            Key::Private(key) => {
                let segment = key.sign_with(token.as_bytes(), Segment::encode)?;
                segment.append(&mut token);
            }
            Key::Shared(key) => {
                let segment = Segment::encode(hmac::sign(key.inner(), token.as_bytes()).as_ref());
                segment.append(&mut token);
            }
        }
        Ok(token)
    }

    fn token_len(&self, payload: usize) -> usize {
        let signature = match &self.key {
            Key::Private(key) => key.signature_len(),
            Key::Shared(_) => 32,
        };
        self.prefix.len() + base64url::encoded_len(payload) + 1 + base64url::encoded_len(signature)
    }
}

/// A signature between two borrows of the token: on the stack, whatever the algorithm.
struct Segment {
    bytes: [u8; 512],
    len: usize,
}

impl Segment {
    fn encode(signature: &[u8]) -> Self {
        let mut bytes = [0; 512];
        let len = signature.len().min(bytes.len());
        bytes[..len].copy_from_slice(&signature[..len]);
        Self { bytes, len }
    }

    fn append(&self, token: &mut String) {
        token.push('.');
        base64url::append(&self.bytes[..self.len], token);
    }
}

pub(crate) fn prefix(header: &WrittenHeader<'_>) -> Result<String, SignError> {
    let mut prefix = base64url::encode(&serde_json::to_vec(header)?);
    prefix.push('.');
    Ok(prefix)
}
