//! Why a key, a signature or a token was refused. No variant carries key material or token text.

use thiserror::Error;

/// A key that this crate will not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The bytes or members are not a key of this kind.
    #[error("the key is malformed")]
    Malformed,
    /// The algorithm is unknown, or is not one for keys of this kind.
    #[error("the key does not fit the algorithm")]
    Algorithm,
    /// RSA outside 2048 to 4096 bits or with a weak exponent, or a shared secret under 32 bytes.
    #[error("the key is too weak or too large")]
    Strength,
    /// `use` or `key_ops` (RFC 7517 sections 4.2, 4.3) say that the key is not for signatures.
    #[error("the key is not for signatures")]
    Use,
    /// Two keys of one set share a `kid`.
    #[error("two keys have the same key id")]
    DuplicateKeyId,
    /// The set holds more than [`MAX_KEYS`](crate::MAX_KEYS) keys.
    #[error("the key set is too large")]
    TooManyKeys,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// A token could not be signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The claims do not serialize to JSON.
    #[error("the claims do not serialize: {0}")]
    Claims(#[from] serde_json::Error),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
    /// The external signer failed, or answered with a wrong signature.
    #[error("the external signer: {0}")]
    External(String),
}

/// A token was refused. All of these are `invalid_token` to the caller; they differ for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Longer than [`MAX_TOKEN`](crate::MAX_TOKEN), or its header than [`MAX_HEADER`](crate::MAX_HEADER).
    #[error("the token is too long")]
    TooLong,
    /// Not three segments of strict base64url.
    #[error("the token is not a compact JWS")]
    Malformed,
    /// The header is not a JSON object with unique members of the right types.
    #[error("the token header is malformed")]
    Header,
    /// The header holds `crit` or `b64` (RFC 7515 section 4.1.11, RFC 7797): no extension is understood.
    #[error("the token header demands an extension")]
    Critical,
    /// `typ` is not the expected one.
    #[error("the token is of another type")]
    Type,
    /// No key of the set has this `kid`, or there is none and the choice is not unique.
    #[error("the token names no known key")]
    UnknownKey,
    /// `alg` is not the algorithm of the key.
    #[error("the token algorithm is not that of the key")]
    Algorithm,
    /// The signature is wrong.
    #[error("the token signature is wrong")]
    Signature,
    /// The payload is not strict JSON of the expected shape.
    #[error("the token claims are malformed")]
    Claims,
}
