//! The public keys of whoever makes assertions, by value or by address (RFC 7517 §5, RFC 7591 §2 `jwks` and
//! `jwks_uri`). Each key is good for one algorithm; refuses symmetric keys, and a set that shows a private one.

use serde_json::Value;
use tokensmith_jose::{Algorithm, Expect, JwkSet, KeyError, KeySet, Verified, VerifyError};

use super::AssertionError;
use crate::fetch::{KeyAddress, KeySets};

/// Where somebody's keys are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// There are none, so nothing verifies.
    Absent,
    /// These.
    Fixed(KeySet),
    /// Published by their owner.
    At(KeyAddress),
}

impl Keys {
    /// What a record says.
    ///
    /// # Errors
    /// [`UnusableKeys`].
    pub fn of(
        jwks: Option<&Value>,
        jwks_uri: Option<&str>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, UnusableKeys> {
        match (jwks, jwks_uri) {
            (None, None) => Ok(Self::Absent),
            (Some(jwks), None) => key_set(jwks, algorithm).map(Self::Fixed),
            (None, Some(url)) => Ok(Self::At(KeyAddress {
                url: url.to_owned(),
                algorithm,
            })),
            (Some(_), Some(_)) => Err(UnusableKeys::Both),
        }
    }

    /// Checks form, type, key and signature.
    ///
    /// # Errors
    /// [`AssertionError::Unverified`] or [`AssertionError::NoKeys`].
    pub async fn verify(
        &self,
        published: &KeySets,
        assertion: &str,
        expect: Expect<'_>,
    ) -> Result<Verified, AssertionError> {
        let address = match self {
            Self::Absent => return Err(VerifyError::UnknownKey.into()),
            Self::Fixed(keys) => return Ok(keys.verify(assertion, expect)?),
            Self::At(address) => address,
        };
        let keys = published.current(address).await;
        let keys = keys.map_err(|_| AssertionError::NoKeys)?;
        match keys.verify(assertion, expect) {
            Err(VerifyError::UnknownKey) => match published.newer_than(address, &keys).await {
                Some(newer) => Ok(newer.verify(assertion, expect)?),
                None => Err(VerifyError::UnknownKey.into()),
            },
            answer => Ok(answer?),
        }
    }
}

/// Why a JWK set cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKeys {
    /// It does not read.
    #[error("the JWK set is not usable: {0}")]
    Set(#[from] tokensmith_jose::KeyError),
    /// A private or symmetric key stands in it.
    #[error(
        "the JWK set shows a private or symmetric key; register public keys, and replace the one shown"
    )]
    Private,
    /// It holds no key for an algorithm of assertions.
    #[error("the JWK set holds no public key for ES256, RS256, PS256 or EdDSA")]
    Empty,
    /// The algorithm is not one for assertions.
    #[error("the signing algorithm must be ES256, RS256, PS256 or EdDSA")]
    Algorithm,
    /// Both ways of naming keys.
    #[error("jwks and jwks_uri exclude each other (RFC 7591 §2)")]
    Both,
}

/// Members that only private and symmetric keys have (RFC 7518 §6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys of a registered set.
///
/// # Errors
/// [`UnusableKeys`].
pub fn key_set(jwks: &Value, algorithm: Option<Algorithm>) -> Result<KeySet, UnusableKeys> {
    let shows = |key: &Value| PRIVATE.iter().any(|member| key.get(member).is_some());
    let listed = jwks.get("keys").and_then(Value::as_array);
    if listed.is_some_and(|keys| keys.iter().any(shows)) {
        return Err(UnusableKeys::Private);
    }
    let set = JwkSet::from_slice(jwks.to_string().as_bytes())?;
    let keys = key_set_of(set, algorithm)?;
    if keys.is_empty() {
        return Err(UnusableKeys::Empty);
    }
    Ok(keys)
}

/// The usable keys of a set.
///
/// # Errors
/// [`KeyError::DuplicateKeyId`].
pub fn key_set_of(set: JwkSet, algorithm: Option<Algorithm>) -> Result<KeySet, KeyError> {
    KeySet::from_jwks(&with_algorithm(set, algorithm))
}

/// An RSA key that names no algorithm is one for the registered algorithm.
fn with_algorithm(mut set: JwkSet, algorithm: Option<Algorithm>) -> JwkSet {
    if algorithm == Some(Algorithm::Ps256) {
        let unnamed = set
            .keys
            .iter_mut()
            .filter(|key| key.kty == "RSA" && key.alg.is_none());
        unnamed.for_each(|key| key.alg = Some(Algorithm::Ps256.as_str().to_owned()));
    }
    set
}

/// The registered algorithm of this name.
///
/// # Errors
/// [`UnusableKeys::Algorithm`] for a name that is unknown or symmetric.
pub fn algorithm_for_assertions(name: &str) -> Result<Algorithm, UnusableKeys> {
    let algorithm = Algorithm::from_name(name).filter(|algorithm| *algorithm != Algorithm::Hs256);
    algorithm.ok_or(UnusableKeys::Algorithm)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokensmith_jose::SigningKey;

    use super::*;

    fn jwk(algorithm: Algorithm) -> Value {
        serde_json::to_value(SigningKey::generate(algorithm).unwrap().public_jwk()).unwrap()
    }

    #[test]
    fn a_set_with_a_private_or_symmetric_key_is_refused_whole() {
        let good = jwk(Algorithm::Es256);
        assert_eq!(key_set(&json!({"keys": [good]}), None).unwrap().len(), 1);
        for key in [
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "EC", "d": "AA"}),
        ] {
            let set = json!({"keys": [good, key]});
            assert_eq!(key_set(&set, None).unwrap_err(), UnusableKeys::Private);
        }
        for set in [json!({"keys": []}), json!({"keys": [{"kty": "AKP"}]})] {
            assert_eq!(key_set(&set, None).unwrap_err(), UnusableKeys::Empty);
        }
        for set in [
            json!({}),
            json!([]),
            json!(null),
            json!({"keys": [good, good]}),
        ] {
            assert!(
                matches!(key_set(&set, None), Err(UnusableKeys::Set(_))),
                "{set}"
            );
        }
    }

    #[test]
    fn an_rsa_key_without_a_name_is_for_the_registered_algorithm() {
        let mut key = jwk(Algorithm::Rs256);
        key.as_object_mut().unwrap().remove("alg");
        for (registered, is_for) in [
            (None, Algorithm::Rs256),
            (Some(Algorithm::Ps256), Algorithm::Ps256),
        ] {
            let set: JwkSet = serde_json::from_value(json!({"keys": [key]})).unwrap();
            let set = with_algorithm(set, registered);
            let key = tokensmith_jose::VerifyingKey::from_jwk(&set.keys[0]).unwrap();
            assert_eq!(key.algorithm(), is_for);
        }
        assert_eq!(
            algorithm_for_assertions("HS256"),
            Err(UnusableKeys::Algorithm)
        );
        assert_eq!(
            algorithm_for_assertions("none"),
            Err(UnusableKeys::Algorithm)
        );
    }
}
