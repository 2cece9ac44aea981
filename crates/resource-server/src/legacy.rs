//! Tokens of the time before published keys: HS256 with a shared secret, `typ` JWT or absent.
//! Off unless configured; refuses secrets under 32 bytes and those that stand in examples.

use tokensmith_jose::{Algorithm, Expect, HmacKey, KeySet, Verified, VerifyError, VerifyingKey};

use crate::ConfigError;

const TYPES: Expect<'static> = Expect::typ(&["JWT", "at+jwt"]).or_absent();
const EXAMPLES: [&str; 6] = [
    "changeme",
    "change-me",
    "change_me",
    "change-in-production",
    "your-secret",
    "your_secret",
];

pub(crate) struct Legacy(KeySet);

impl Legacy {
    pub(crate) fn new(secret: &str, algorithm: &str) -> Result<Self, ConfigError> {
        if Algorithm::from_name(algorithm) != Some(Algorithm::Hs256) {
            return Err(ConfigError::LegacyAlgorithm);
        }
        let lower = secret.to_ascii_lowercase();
        if EXAMPLES.iter().any(|example| lower.contains(example)) {
            return Err(ConfigError::WeakSecret);
        }
        let key = HmacKey::new(secret.as_bytes()).map_err(|_| ConfigError::WeakSecret)?;
        let keys =
            KeySet::new([VerifyingKey::from_hmac(&key)]).map_err(|_| ConfigError::WeakSecret)?;
        tracing::warn!(
            "tokens signed with a shared secret (HS256) are accepted: every holder of the secret can forge them"
        );
        Ok(Self(keys))
    }

    /// `None` when the token is not one of these and the published keys must judge it.
    pub(crate) fn verify(&self, token: &str) -> Option<Result<Verified, VerifyError>> {
        match self.0.verify(token, TYPES) {
            Err(VerifyError::UnknownKey) => None,
            outcome => Some(outcome),
        }
    }
}
