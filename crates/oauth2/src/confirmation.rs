//! The key a token is bound to (RFC 7800 §3): `jkt` by DPoP (RFC 9449 §6), `x5t#S256` by certificate (RFC 8705 §3.1).
//! Exactly one of them. Any other member, or a second, is refused: what is not understood must not be taken for unbound.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const BYTES: usize = 32;
const JKT: &str = "jkt";
const CERTIFICATE: &str = "x5t#S256";

/// The claim `cnf`. As a text it is the member's name, a colon and the thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Confirmation {
    /// Of a public key (RFC 7638), shown by a DPoP proof.
    #[serde(rename = "jkt")]
    Jkt(Thumbprint),
    /// Of a client certificate in DER, shown in the TLS handshake.
    #[serde(rename = "x5t#S256")]
    Certificate(Thumbprint),
}

/// A SHA-256 digest, written in base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; BYTES]);

/// The text is no thumbprint or no confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the confirmation of a key is malformed")]
pub struct MalformedConfirmation;

impl Confirmation {
    /// The `token_type` of an access token that is bound so (RFC 9449 §5, RFC 8705 §3).
    #[must_use]
    pub fn token_type(self) -> &'static str {
        match self {
            Self::Jkt(_) => "DPoP",
            Self::Certificate(_) => "Bearer",
        }
    }
}

impl fmt::Display for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jkt(thumbprint) => write!(f, "{JKT}:{thumbprint}"),
            Self::Certificate(thumbprint) => write!(f, "{CERTIFICATE}:{thumbprint}"),
        }
    }
}

impl FromStr for Confirmation {
    type Err = MalformedConfirmation;

    fn from_str(text: &str) -> Result<Self, MalformedConfirmation> {
        let (name, thumbprint) = text.split_once(':').ok_or(MalformedConfirmation)?;
        let thumbprint = thumbprint.parse()?;
        match name {
            JKT => Ok(Self::Jkt(thumbprint)),
            CERTIFICATE => Ok(Self::Certificate(thumbprint)),
            _ => Err(MalformedConfirmation),
        }
    }
}

impl From<[u8; BYTES]> for Thumbprint {
    fn from(digest: [u8; BYTES]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = MalformedConfirmation;

    /// Only the one spelling of the digest: no padding, no other alphabet, no stray bits.
    fn from_str(text: &str) -> Result<Self, MalformedConfirmation> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| MalformedConfirmation)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| MalformedConfirmation)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const DIGEST: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    fn read(value: Value) -> Option<Confirmation> {
        serde_json::from_value(value).ok()
    }

    #[test]
    fn a_claim_is_written_as_in_the_rfcs_and_read_back() {
        let thumbprint: Thumbprint = DIGEST.parse().unwrap();
        for (confirmation, claim, text) in [
            (
                Confirmation::Jkt(thumbprint),
                json!({"jkt": DIGEST}),
                format!("jkt:{DIGEST}"),
            ),
            (
                Confirmation::Certificate(thumbprint),
                json!({"x5t#S256": DIGEST}),
                format!("x5t#S256:{DIGEST}"),
            ),
        ] {
            assert_eq!(serde_json::to_value(confirmation).unwrap(), claim);
            assert_eq!(read(claim), Some(confirmation));
            assert_eq!(confirmation.to_string(), text);
            assert_eq!(text.parse(), Ok(confirmation));
        }
    }

    #[test]
    fn what_is_not_exactly_one_known_binding_is_refused() {
        for claim in [
            json!({}),
            json!({"jkt": DIGEST, "x5t#S256": DIGEST}),
            json!({"jkt": DIGEST, "kid": "k"}),
            json!({"jwk": {"kty": "EC"}}),
            json!({"kid": "k"}),
            json!({"jkt": null}),
            json!({"jkt": ""}),
            json!({"jkt": [DIGEST]}),
            json!({"jkt": format!("{DIGEST}=")}),
            json!({"jkt": &DIGEST[1..]}),
            json!({"JKT": DIGEST}),
            json!(DIGEST),
            json!("jkt"),
            json!([DIGEST]),
            json!(null),
        ] {
            assert_eq!(read(claim.clone()), None, "{claim}");
        }
    }

    proptest! {
        #[test]
        fn every_digest_has_one_spelling(digest in any::<[u8; 32]>(), text in "[A-Za-z0-9_-]{43}") {
            let thumbprint = Thumbprint::from(digest);
            prop_assert_eq!(thumbprint.to_string().parse(), Ok(thumbprint));
            if let Ok(read) = text.parse::<Thumbprint>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
