//! Proof Key for Code Exchange (RFC 7636), method S256 only (RFC 9700 §2.1.1).
//! It refuses `plain`, an omitted method (which means `plain`), and a verifier where no challenge was made.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::Secret;

/// Why a challenge or verifier is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    /// `plain`, nothing, or an unknown method.
    #[error("the code_challenge_method must be S256")]
    Method,
    /// Not 43 base64url characters of a SHA-256 value.
    #[error("the code_challenge is not a base64url SHA-256 value")]
    Challenge,
    /// Not 43 to 128 unreserved characters (RFC 7636 §4.1).
    #[error("the code_verifier must be 43 to 128 unreserved characters")]
    Verifier,
    /// The challenge was made, but no verifier came.
    #[error("the code_verifier is missing")]
    VerifierMissing,
    /// A verifier came, but no challenge was made (RFC 9700 §4.8.2).
    #[error("a code_verifier was sent for a request without code_challenge")]
    VerifierUnexpected,
    /// The verifier does not fit the challenge.
    #[error("the code_verifier does not match the code_challenge")]
    Mismatch,
}

/// An S256 code challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeChallenge([u8; 32]);

/// A code verifier; a secret until it is redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeVerifier(Secret);

impl CodeChallenge {
    /// The only method there is.
    pub const METHOD: &str = "S256";

    /// Reads the two parameters of an authorization request.
    ///
    /// # Errors
    /// [`PkceError::Method`] or [`PkceError::Challenge`].
    pub fn parse(challenge: &str, method: Option<&str>) -> Result<Self, PkceError> {
        if method != Some(Self::METHOD) {
            return Err(PkceError::Method);
        }
        Self::from_base64url(challenge)
    }

    fn from_base64url(text: &str) -> Result<Self, PkceError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| PkceError::Challenge)?;
        bytes.try_into().map(Self).map_err(|_| PkceError::Challenge)
    }

    /// True when the verifier hashes to this challenge.
    #[must_use]
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        self.0.ct_eq(&verifier.challenge().0).into()
    }
}

impl CodeVerifier {
    /// Checks a text.
    ///
    /// # Errors
    /// [`PkceError::Verifier`].
    pub fn parse(text: &str) -> Result<Self, PkceError> {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved) {
            Ok(Self(Secret::from(text)))
        } else {
            Err(PkceError::Verifier)
        }
    }

    /// Its S256 challenge.
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        let hash = digest(&SHA256, self.0.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        CodeChallenge(bytes)
    }

    /// The text, for the token request.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Checks what a token request brought against what the authorization request left, both ways.
///
/// # Errors
/// [`PkceError`]; all of them are `invalid_grant`.
pub fn verify(challenge: Option<&CodeChallenge>, verifier: Option<&str>) -> Result<(), PkceError> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(PkceError::VerifierUnexpected),
        (Some(_), None) => Err(PkceError::VerifierMissing),
        (Some(challenge), Some(verifier)) if challenge.matches(&CodeVerifier::parse(verifier)?) => {
            Ok(())
        }
        (Some(_), Some(_)) => Err(PkceError::Mismatch),
    }
}

impl std::fmt::Display for CodeChallenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = PkceError;

    fn try_from(text: String) -> Result<Self, PkceError> {
        Self::from_base64url(&text)
    }
}

impl From<CodeChallenge> for String {
    fn from(challenge: CodeChallenge) -> Self {
        challenge.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn challenge() -> CodeChallenge {
        CodeChallenge::parse(CHALLENGE, Some("S256")).unwrap()
    }

    #[test]
    fn the_vector_of_the_rfc_matches() {
        assert_eq!(verify(Some(&challenge()), Some(VERIFIER)), Ok(()));
        assert_eq!(
            CodeVerifier::parse(VERIFIER)
                .unwrap()
                .challenge()
                .to_string(),
            CHALLENGE
        );
    }

    #[test]
    fn row_057_plain_and_an_omitted_method_are_refused() {
        for method in [None, Some("plain"), Some("s256"), Some("")] {
            assert_eq!(
                CodeChallenge::parse(CHALLENGE, method),
                Err(PkceError::Method)
            );
        }
    }

    #[test]
    fn rows_058_059_060_each_side_needs_the_other() {
        assert_eq!(
            verify(Some(&challenge()), None),
            Err(PkceError::VerifierMissing)
        );
        assert_eq!(
            verify(None, Some(VERIFIER)),
            Err(PkceError::VerifierUnexpected)
        );
        assert_eq!(
            verify(Some(&challenge()), Some(&"a".repeat(43))),
            Err(PkceError::Mismatch)
        );
        assert_eq!(
            verify(Some(&challenge()), Some(CHALLENGE)),
            Err(PkceError::Mismatch)
        );
        assert_eq!(
            verify(Some(&challenge()), Some("short")),
            Err(PkceError::Verifier)
        );
    }

    #[test]
    fn challenges_that_are_not_canonical_sha256_values_are_refused() {
        let not_canonical = format!("{}N", &CHALLENGE[..42]);
        for text in [
            "",
            "abc",
            &CHALLENGE[..42],
            &format!("{CHALLENGE}="),
            &not_canonical,
            &"é".repeat(20),
        ] {
            assert_eq!(
                CodeChallenge::parse(text, Some("S256")),
                Err(PkceError::Challenge),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_verifier_fits_its_own_challenge_after_a_round_trip(text in "[A-Za-z0-9._~-]{43,128}") {
            let printed = CodeVerifier::parse(&text).unwrap().challenge().to_string();
            let challenge = CodeChallenge::parse(&printed, Some("S256")).unwrap();
            prop_assert_eq!(verify(Some(&challenge), Some(&text)), Ok(()));
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = CodeChallenge::parse(&text, Some("S256"));
            let _ = CodeVerifier::parse(&text);
        }
    }
}
