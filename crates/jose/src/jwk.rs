//! JSON Web Keys and sets (RFC 7517), public members only: a private member is neither kept nor written.
//! Refuses symmetric keys, sets with too many keys, and private keys offered where public ones belong.

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::{KeyError, base64url, strict_json};

/// More keys than any issuer publishes.
pub const MAX_KEYS: usize = 64;

/// A public key as RFC 7517 section 4, RFC 7518 section 6 and RFC 8037 write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `EC`, `RSA` or `OKP`.
    pub kty: String,
    /// `P-256` or `Ed25519`; absent for RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// First coordinate, or the Ed25519 public key; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Second coordinate; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA modulus; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA exponent; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm the key is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig` for keys of this crate.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Operations (RFC 7517 section 4.3); never written by this crate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
}

impl Jwk {
    /// The RFC 7638 thumbprint with SHA-256, base64url; `None` when a required member is absent or the kind unknown.
    pub fn thumbprint(&self) -> Option<String> {
        let (crv, e, kty, n, x, y) = (&self.crv, &self.e, &self.kty, &self.n, &self.x, &self.y);
        let members = match kty.as_str() {
            "EC" => json!({"crv": crv.as_ref()?, "kty": kty, "x": x.as_ref()?, "y": y.as_ref()?}),
            "OKP" => json!({"crv": crv.as_ref()?, "kty": kty, "x": x.as_ref()?}),
            "RSA" => json!({"e": e.as_ref()?, "kty": kty, "n": n.as_ref()?}),
            _ => return None,
        };
        // Section 3 demands lexicographic order: `serde_json::Map` sorts, or keeps the order in which they stand here.
        let digest = digest::digest(&digest::SHA256, members.to_string().as_bytes());
        Some(base64url::encode(digest.as_ref()))
    }
}

/// A JWK set (RFC 7517 section 5). Reading it drops the keys that are not public keys of a known shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    /// The keys, in the order of the document.
    pub keys: Vec<Jwk>,
}

impl JwkSet {
    /// Reads a set; members must be unique at every depth.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] or [`KeyError::TooManyKeys`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        let document: Document = strict_json::from_slice(bytes).map_err(|_| KeyError::Malformed)?;
        document.try_into()
    }
}

impl<'de> Deserialize<'de> for JwkSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl TryFrom<Document> for JwkSet {
    type Error = KeyError;

    fn try_from(document: Document) -> Result<Self, KeyError> {
        if document.keys.len() > MAX_KEYS {
            return Err(KeyError::TooManyKeys);
        }
        let keys = document
            .keys
            .into_iter()
            .filter(is_public)
            .filter_map(|key| serde_json::from_value(key).ok());
        Ok(Self {
            keys: keys.collect(),
        })
    }
}

/// RFC 7517 section 9.2: a set that shows `d` or `k` shows a secret, and that key is worth nothing.
pub(crate) fn is_public(key: &Value) -> bool {
    !["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
        .iter()
        .any(|name| key.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_unknown_shape_and_private_keys_are_dropped_from_a_set() {
        let text = br#"{"keys":[{"kty":"EC","x":"AQ","d":"AQ"},{"kty":"oct","k":"AAAA"},{"kty":1},"key",
            {"kty":"AKP","alg":"ML-DSA-44","pub":"AQ"},{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ","x5t":"?"}]}"#;
        let set = JwkSet::from_slice(text).unwrap();
        let kinds: Vec<&str> = set.keys.iter().map(|key| key.kty.as_str()).collect();
        assert_eq!(kinds, ["AKP", "EC"]);
    }

    #[test]
    fn a_set_with_duplicate_members_or_too_many_keys_is_refused() {
        assert_eq!(
            JwkSet::from_slice(br#"{"keys":[],"keys":[]}"#),
            Err(KeyError::Malformed)
        );
        assert_eq!(
            JwkSet::from_slice(br#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#),
            Err(KeyError::Malformed)
        );
        assert_eq!(JwkSet::from_slice(br#"{}"#), Err(KeyError::Malformed));
        let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; MAX_KEYS + 1].join(","));
        assert_eq!(
            JwkSet::from_slice(many.as_bytes()),
            Err(KeyError::TooManyKeys)
        );
    }
}
