//! The signature algorithms (RFC 7518 section 3.1, RFC 8037) this crate signs and verifies with. `none` cannot be written.

use std::fmt;

/// A JWS `alg` value. Names compare exactly, as RFC 7515 section 4.1.1 asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// HMAC with SHA-256, only for shared secrets that must still be accepted.
    Hs256,
}

impl Algorithm {
    /// The registered name, as it stands in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Es256,
            Self::Rs256,
            Self::Ps256,
            Self::EdDsa,
            Self::Hs256,
        ]
        .into_iter()
        .find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
