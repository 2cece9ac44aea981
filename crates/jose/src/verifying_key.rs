//! Public keys parsed once, each good for one algorithm (RFC 8725 section 3.1).
//! Refuses weak RSA keys, points off the curve, keys whose `use` is another, and secrets in the place of public keys.

use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
};
use aws_lc_rs::{error, hmac};

use crate::{Algorithm, HmacKey, Jwk, KeyError, VerifyError, base64url};

/// RSA moduli in bytes: 2048 to 4096 bits.
pub(crate) const RSA_MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// A key that verifies signatures of exactly one algorithm.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Public(ParsedPublicKey),
    Shared(Arc<hmac::Key>),
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Public(_) => "Public",
            Self::Shared(_) => "Shared",
        })
    }
}

impl VerifyingKey {
    /// Parses a public key. Without `alg`, P-256 means ES256, Ed25519 means EdDSA and RSA means RS256.
    ///
    /// # Errors
    /// Any [`KeyError`] but the two about sets.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        may_verify(jwk)?;
        let algorithm = algorithm_of(jwk)?;
        let parsed = match algorithm {
            Algorithm::Es256 => ec_key(jwk)?,
            Algorithm::EdDsa => ed25519_key(jwk)?,
            Algorithm::Rs256 => rsa_key(jwk, &RSA_PKCS1_2048_8192_SHA256)?,
            Algorithm::Ps256 => rsa_key(jwk, &RSA_PSS_2048_8192_SHA256)?,
            Algorithm::Hs256 => return Err(KeyError::Algorithm),
        };
        Ok(Self {
            algorithm,
            kid: jwk.kid.clone(),
            material: Material::Public(parsed),
        })
    }

    /// HS256 with a shared secret; such a key has no `kid` unless it is given one.
    pub fn from_hmac(key: &HmacKey) -> Self {
        Self {
            algorithm: Algorithm::Hs256,
            kid: None,
            material: Material::Shared(key.inner().clone()),
        }
    }

    /// The same key under this `kid`.
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self {
            kid: Some(kid.into()),
            ..self
        }
    }

    /// The one algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key id, when it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Checks a raw signature; ES256 is the 64 bytes of RFC 7518 section 3.4.
    ///
    /// # Errors
    /// [`VerifyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        let outcome: Result<(), error::Unspecified> = match &self.material {
            Material::Public(key) => key.verify_sig(message, signature),
            Material::Shared(key) => hmac::verify(key, message, signature),
        };
        outcome.map_err(|_| VerifyError::Signature)
    }
}

fn may_verify(jwk: &Jwk) -> Result<(), KeyError> {
    let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
    let verifies = jwk
        .key_ops
        .as_ref()
        .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if for_signatures && verifies {
        Ok(())
    } else {
        Err(KeyError::Use)
    }
}

fn algorithm_of(jwk: &Jwk) -> Result<Algorithm, KeyError> {
    let possible: &[Algorithm] = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("EC", Some("P-256")) => &[Algorithm::Es256],
        ("OKP", Some("Ed25519")) => &[Algorithm::EdDsa],
        ("RSA", None) => &[Algorithm::Rs256, Algorithm::Ps256],
        _ => return Err(KeyError::Algorithm),
    };
    let Some(name) = jwk.alg.as_deref() else {
        return Ok(possible[0]);
    };
    let named = Algorithm::from_name(name).filter(|algorithm| possible.contains(algorithm));
    named.ok_or(KeyError::Algorithm)
}

fn ec_key(jwk: &Jwk) -> Result<ParsedPublicKey, KeyError> {
    let mut point = [4u8; 65];
    point[1..33].copy_from_slice(&member::<32>(&jwk.x)?);
    point[33..].copy_from_slice(&member::<32>(&jwk.y)?);
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::Malformed)
}

fn ed25519_key(jwk: &Jwk) -> Result<ParsedPublicKey, KeyError> {
    ParsedPublicKey::new(&ED25519, member::<32>(&jwk.x)?).map_err(|_| KeyError::Malformed)
}

fn member<const N: usize>(text: &Option<String>) -> Result<[u8; N], KeyError> {
    let bytes = text
        .as_deref()
        .and_then(base64url::decode)
        .ok_or(KeyError::Malformed)?;
    bytes.try_into().map_err(|_| KeyError::Malformed)
}

fn rsa_key(jwk: &Jwk, parameters: &'static RsaParameters) -> Result<ParsedPublicKey, KeyError> {
    let n = integer(&jwk.n)?;
    let e = integer(&jwk.e)?;
    if !RSA_MODULUS.contains(&n.len())
        || n[0] < 0x80
        || n.last().is_none_or(|low| low % 2 == 0)
        || is_weak(&e)
    {
        return Err(KeyError::Strength);
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
        .map_err(|_| KeyError::Malformed)
}

/// FIPS 186-5 appendix A.1.1: odd and larger than 2^16; anything above 32 bits only burns time.
fn is_weak(e: &[u8]) -> bool {
    let value = e
        .iter()
        .fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    e.len() > 4 || value <= 1 << 16 || value % 2 == 0
}

/// RFC 7518 section 2, Base64urlUInt: big-endian without leading zero bytes.
fn integer(text: &Option<String>) -> Result<Vec<u8>, KeyError> {
    let bytes = text
        .as_deref()
        .and_then(base64url::decode)
        .ok_or(KeyError::Malformed)?;
    if bytes.first().is_none_or(|high| *high == 0) {
        return Err(KeyError::Malformed);
    }
    Ok(bytes)
}
