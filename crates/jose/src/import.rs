//! Private keys from outside: PEM (PKCS#8 of RFC 5958, SEC1 of RFC 5915, PKCS#1 of RFC 8017) and JWK (RFC 7517).
//! Refuses encrypted PEM, other curves than P-256 and Ed25519, RSA outside 2048 to 4096 bits, keys whose `use`,
//! `key_ops` or `alg` say otherwise, and private parts that do not belong to the public ones beside them.

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::signing_key::Pair;
use crate::{Algorithm, KeyError, SigningKey, base64url, strict_json};

/// Signed once by every key that comes in, to see that its two halves belong together.
const TRIAL: &[u8] = b"Tokensmith signs this to try an imported key.";

impl SigningKey {
    /// Reads the first private key of a PEM text. Without an algorithm, P-256 means ES256, Ed25519 EdDSA and RSA RS256.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Algorithm`] or [`KeyError::Strength`].
    pub fn from_pem(pem: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::Malformed)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => from_pkcs8(der.secret_pkcs8_der())?,
            PrivateKeyDer::Sec1(der) => {
                let der = der.secret_sec1_der();
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map(Pair::Ec)
                    .map_err(rejected)?
            }
            PrivateKeyDer::Pkcs1(der) => {
                let der = der.secret_pkcs1_der();
                RsaKeyPair::from_der(der).map(Pair::Rsa).map_err(rejected)?
            }
            _ => return Err(KeyError::Malformed),
        };
        tried(pair, algorithm)
    }

    /// Reads one private JWK. Without an algorithm its `alg` decides, else what [`SigningKey::from_pem`] says.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Algorithm`], [`KeyError::Strength`] or [`KeyError::Use`].
    pub fn from_private_jwk(json: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let jwk: PrivateJwk = strict_json::from_slice(json).map_err(|_| KeyError::Malformed)?;
        jwk.may_sign()?;
        let named = jwk.alg.as_deref().map(Algorithm::from_name);
        let algorithm = match (algorithm, named) {
            (wanted, None) => wanted,
            (wanted, Some(Some(named))) if wanted.is_none_or(|wanted| wanted == named) => {
                Some(named)
            }
            _ => return Err(KeyError::Algorithm),
        };
        tried(jwk.pair()?, algorithm)
    }
}

/// PKCS#8 says itself what kind of key it is; the library has a function for each kind.
fn from_pkcs8(der: &[u8]) -> Result<Pair, KeyError> {
    let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::Ec);
    let pair = ec
        .or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed))
        .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Pair::Rsa));
    pair.map_err(rejected)
}

/// The library tells its reasons as words alone.
fn rejected(reason: aws_lc_rs::error::KeyRejected) -> KeyError {
    match reason.to_string().as_str() {
        "TooSmall" | "TooLarge" => KeyError::Strength,
        "WrongAlgorithm" => KeyError::Algorithm,
        _ => KeyError::Malformed,
    }
}

/// A key that has signed once and whose signature its public half accepts.
fn tried(pair: Pair, algorithm: Option<Algorithm>) -> Result<SigningKey, KeyError> {
    let possible: &[Algorithm] = match &pair {
        Pair::Ec(_) => &[Algorithm::Es256],
        Pair::Ed(_) => &[Algorithm::EdDsa],
        Pair::Rsa(_) => &[Algorithm::Rs256, Algorithm::Ps256],
    };
    let algorithm = algorithm.unwrap_or(possible[0]);
    if !possible.contains(&algorithm) {
        return Err(KeyError::Algorithm);
    }
    let key = SigningKey::from_pair(algorithm, pair)?;
    let signature = key.sign(TRIAL).map_err(|_| KeyError::Malformed)?;
    let public = key.verifying_key()?;
    public
        .verify(TRIAL, &signature)
        .map_err(|_| KeyError::Malformed)?;
    Ok(key)
}

/// A private key as RFC 7518 section 6 and RFC 8037 write it. Other members, such as `x5c`, say nothing about it.
#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: Option<String>,
    x: Option<Bytes>,
    y: Option<Bytes>,
    d: Option<Bytes>,
    n: Option<Bytes>,
    e: Option<Bytes>,
    p: Option<Bytes>,
    q: Option<Bytes>,
    dp: Option<Bytes>,
    dq: Option<Bytes>,
    qi: Option<Bytes>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
}

/// A base64url member, cleared when dropped.
struct Bytes(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = base64url::decode(&text);
        let bytes = bytes.ok_or_else(|| serde::de::Error::custom("not base64url"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl PrivateJwk {
    fn may_sign(&self) -> Result<(), KeyError> {
        let for_signatures = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let signs = self
            .key_ops
            .as_ref()
            .is_none_or(|ops| ops.iter().any(|op| op == "sign"));
        (for_signatures && signs).then_some(()).ok_or(KeyError::Use)
    }

    fn pair(&self) -> Result<Pair, KeyError> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let (x, y) = (fixed(&self.x)?, fixed(&self.y)?);
                let point = [&[4][..], x, y].concat();
                let d = fixed(&self.d)?;
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, d, &point);
                pair.map(Pair::Ec).map_err(rejected)
            }
            ("OKP", Some("Ed25519")) => {
                let pair =
                    Ed25519KeyPair::from_seed_and_public_key(fixed(&self.d)?, fixed(&self.x)?);
                pair.map(Pair::Ed).map_err(rejected)
            }
            ("RSA", None) => self.rsa_pair(),
            _ => Err(KeyError::Algorithm),
        }
    }

    /// RFC 7518 section 6.3.2: with the primes, and with no more than two.
    fn rsa_pair(&self) -> Result<Pair, KeyError> {
        let components = KeyPairComponents {
            public_key: PublicKeyComponents {
                n: there(&self.n)?,
                e: there(&self.e)?,
            },
            d: there(&self.d)?,
            p: there(&self.p)?,
            q: there(&self.q)?,
            dP: there(&self.dp)?,
            dQ: there(&self.dq)?,
            qInv: there(&self.qi)?,
        };
        let pair = RsaKeyPair::from_components(&components);
        pair.map(Pair::Rsa).map_err(rejected)
    }
}

fn there(member: &Option<Bytes>) -> Result<&[u8], KeyError> {
    member
        .as_ref()
        .map(AsRef::as_ref)
        .ok_or(KeyError::Malformed)
}

fn fixed(member: &Option<Bytes>) -> Result<&[u8], KeyError> {
    let bytes = there(member)?;
    (bytes.len() == 32)
        .then_some(bytes)
        .ok_or(KeyError::Malformed)
}
