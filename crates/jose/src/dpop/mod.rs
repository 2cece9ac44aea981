//! Proofs of possession (RFC 9449 section 4): a JWT over method and address of one request, signed with the key it shows.
//! Pure: time, nonces and the one use of a `jti` are for the caller. Refuses symmetric keys, keys that show a private
//! member, every key that is not in the proof itself, and whatever is not proven: method, address, age, access token.

mod address;
mod nonce;
mod prover;

use std::time::Duration;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use thiserror::Error;
use tokensmith_oauth2::Thumbprint;

pub use self::nonce::NonceKey;
pub use self::prover::Prover;

use crate::jwk::is_public;
use crate::key_set::Segments;
use crate::{
    Algorithm, Expect, Header, Jwk, KeyError, VerifyError, VerifyingKey, base64url, header,
    strict_json,
};

/// Signatures a proof may have. PKCS#1 v1.5 is left out: no client needs it, and the FAPI 2.0 profile bans it.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256];
/// The same, as a challenge writes them (RFC 9449 section 7.1).
pub const ALGORITHM_NAMES: &str = "ES256 EdDSA PS256";
/// How old a proof may be.
pub const MAX_AGE: Duration = Duration::from_secs(300);

const TYPE: &str = "dpop+jwt";
/// How far `iat` may lie ahead of our clock, in seconds.
const LEEWAY: i64 = 60;
/// The longest proof looked at: an RSA key of 4096 bits and a long address fit.
const MAX_PROOF: usize = 8 * 1024;
const MAX_HEADER: usize = 2 * 1024;
const MAX_JTI: usize = 256;
const MAX_NONCE: usize = 256;

/// The request that a proof must be about.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The HTTP method, compared exactly.
    pub method: &'a str,
    /// Its public address. Made from configuration, never from a header field.
    pub url: &'a str,
    /// The moment of the request, in seconds since 1970.
    pub now: i64,
    /// The access token that came with it: the proof must name it (`ath`). `None` at the token endpoint.
    pub access_token: Option<&'a str>,
}

/// A proof that holds. Whether its `jti` is new and its nonce ours is for the caller to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The key that signed it (RFC 7638).
    pub key: Thumbprint,
    /// Unique among the proofs of that key.
    pub jti: String,
    /// The nonce it repeats.
    pub nonce: Option<String>,
    /// The first second in which it is refused for its age.
    pub expires_at: i64,
}

/// A proof was refused. The text is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Form, type or signature.
    #[error("{0}")]
    Token(#[from] VerifyError),
    /// The key in the header cannot be used.
    #[error("the key in the header: {0}")]
    Key(#[from] KeyError),
    /// The header shows no key, or a private or symmetric one.
    #[error("the header must show a public key, and nothing private")]
    NotPublic,
    /// A claim is missing, has the wrong type, or is too long.
    #[error("the claims are malformed")]
    Claims,
    /// `htm` is another method.
    #[error("htm is not the method of the request")]
    Method,
    /// `htu` is another address.
    #[error("htu is not the address of the request")]
    Address,
    /// `iat` is too old or lies ahead, or `exp` or `nbf` say so.
    #[error("iat is too old or lies in the future")]
    Age,
    /// `ath` is missing or names another token.
    #[error("ath is not the hash of the access token")]
    AccessToken,
}

/// Checks a proof by RFC 9449 section 4.3, all but `jti` and nonce.
///
/// # Errors
/// [`ProofError`].
pub fn verify(proof: &str, request: &Request<'_>) -> Result<Proof, ProofError> {
    let segments = Segments::split(proof, MAX_PROOF, MAX_HEADER)?;
    let bytes = base64url::decode(segments.header).ok_or(VerifyError::Malformed)?;
    let header = header::parse(&bytes)?;
    if !Expect::typ(&[TYPE]).admits(header.typ.as_deref()) {
        return Err(VerifyError::Type.into());
    }
    let (key, verifying) = key(&header, &bytes)?;
    segments.verify(&verifying)?;
    let payload = base64url::decode(segments.payload).ok_or(VerifyError::Malformed)?;
    let claims: Claims = strict_json::from_slice(&payload).map_err(|_| ProofError::Claims)?;
    let issued_at = claims.check(request)?;
    Ok(Proof {
        key,
        jti: claims.jti,
        nonce: claims.nonce,
        expires_at: issued_at.saturating_add(MAX_AGE.as_secs().cast_signed()),
    })
}

#[derive(Deserialize)]
struct KeyInHeader {
    jwk: Value,
}

/// The key that the header shows, good for the header's algorithm alone.
fn key(header: &Header, bytes: &[u8]) -> Result<(Thumbprint, VerifyingKey), ProofError> {
    if !ALGORITHMS.contains(&header.alg) {
        return Err(VerifyError::Algorithm.into());
    }
    let shown: KeyInHeader = strict_json::from_slice(bytes).map_err(|_| ProofError::NotPublic)?;
    if !shown.jwk.is_object() || !is_public(&shown.jwk) {
        return Err(ProofError::NotPublic);
    }
    let jwk: Jwk = serde_json::from_value(shown.jwk).map_err(|_| KeyError::Malformed)?;
    let named = jwk.alg.as_deref();
    if named.is_some_and(|named| named != header.alg.as_str()) {
        return Err(KeyError::Algorithm.into());
    }
    let jwk = Jwk {
        alg: Some(header.alg.as_str().to_owned()),
        ..jwk
    };
    let verifying = VerifyingKey::from_jwk(&jwk)?;
    let thumbprint = jwk.thumbprint().ok_or(KeyError::Malformed)?;
    let thumbprint = thumbprint.parse().map_err(|_| KeyError::Malformed)?;
    Ok((thumbprint, verifying))
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: Number,
    #[serde(default, deserialize_with = "present")]
    exp: Option<Number>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Number>,
    #[serde(default, deserialize_with = "present")]
    ath: Option<String>,
    #[serde(default, deserialize_with = "present")]
    nonce: Option<String>,
}

/// A member that is there must have its type; serde alone would read `null` as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Claims {
    /// When the proof was made, if it is about this request.
    fn check(&self, request: &Request<'_>) -> Result<i64, ProofError> {
        let nonce = self.nonce.as_deref().map_or(1, str::len);
        if !(1..=MAX_JTI).contains(&self.jti.len()) || !(1..=MAX_NONCE).contains(&nonce) {
            return Err(ProofError::Claims);
        }
        if self.htm != request.method {
            return Err(ProofError::Method);
        }
        if !address::is_same(&self.htu, request.url) {
            return Err(ProofError::Address);
        }
        let issued_at = self.check_times(request.now)?;
        match request.access_token {
            Some(token) if self.ath.as_deref() != Some(&token_hash(token)) => {
                Err(ProofError::AccessToken)
            }
            _ => Ok(issued_at),
        }
    }

    fn check_times(&self, now: i64) -> Result<i64, ProofError> {
        let issued_at = seconds(&self.iat)?;
        let latest = now.saturating_add(LEEWAY);
        let is_old = issued_at.saturating_add(MAX_AGE.as_secs().cast_signed()) <= now;
        let expires_at = self.exp.as_ref().map(seconds).transpose()?;
        let not_before = self.nbf.as_ref().map(seconds).transpose()?;
        if is_old
            || issued_at > latest
            || expires_at.is_some_and(|expires_at| expires_at <= now)
            || not_before.is_some_and(|not_before| not_before > latest)
        {
            return Err(ProofError::Age);
        }
        Ok(issued_at)
    }
}

/// A date of RFC 7519 section 2; a fraction is cut off.
fn seconds(date: &Number) -> Result<i64, ProofError> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let fraction = || date.as_f64().filter(|date| date.abs() < EXACT);
    // In range, so the cast only cuts the fraction.
    let cut = date.as_i64().or_else(|| fraction().map(|date| date as i64));
    cut.ok_or(ProofError::Claims)
}

/// `ath`: base64url of the SHA-256 of the token's ASCII text.
fn token_hash(token: &str) -> String {
    base64url::encode(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}
