//! The secret shared with older services (HS256). It stands in no JWK set, never rotates, and signs access tokens for
//! resources that are declared so, and nothing else.

use std::sync::Arc;

use tokensmith_jose::{HmacKey, KeySet, Signer, VerifyingKey};

use super::{ACCESS_TOKEN_TYPE, signers::KeySigner, unusable};
use crate::{app::StartError, config::Config};

#[derive(Clone)]
pub(super) struct SharedKey {
    pub(super) signer: Arc<KeySigner>,
    pub(super) verifying: Arc<KeySet>,
}

impl SharedKey {
    /// The key of `tokens.legacy_shared_secret`, if it is set.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, StartError> {
        let Some(secret) = &config.tokens.legacy_shared_secret else {
            return Ok(None);
        };
        let key = HmacKey::new(secret.secret().expose().as_bytes()).map_err(unusable)?;
        let verifying = KeySet::new([VerifyingKey::from_hmac(&key)]).map_err(unusable)?;
        let signer = Signer::hs256(key, ACCESS_TOKEN_TYPE).map_err(unusable)?;
        Ok(Some(Self {
            signer: Arc::new(KeySigner::Held(signer)),
            verifying: Arc::new(verifying),
        }))
    }
}
