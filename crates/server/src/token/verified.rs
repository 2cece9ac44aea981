//! Access tokens whose signature was checked lately, by the SHA-256 of their whole text. Kept is what a token says,
//! never whether it is good now: times, standing and revocation are asked of each at every use.

use std::sync::{Arc, Weak};

use aws_lc_rs::digest;
use quick_cache::sync::Cache;

use super::shown::ShownClaims;
use crate::keys::Keys;

/// A bounded memory of checked signatures.
pub struct VerifiedTokens(Cache<[u8; 32], Entry>);

#[derive(Clone)]
struct Entry {
    claims: Arc<ShownClaims>,
    /// The state of the key ring it was checked with: another state checks again.
    keys: Weak<Keys>,
}

impl VerifiedTokens {
    /// Remembers at most `tokens`.
    pub fn new(tokens: usize) -> Self {
        Self(Cache::new(tokens))
    }

    /// The claims of a token, from memory or by `verify`. What does not verify is not remembered.
    pub(super) fn claims(
        &self,
        text: &str,
        keys: &Arc<Keys>,
        verify: impl FnOnce() -> Option<ShownClaims>,
    ) -> Option<Arc<ShownClaims>> {
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let known = self.0.get(&name);
        // The weak reference keeps its place in memory taken, so no later key ring can be found there.
        if let Some(known) = known.filter(|known| known.keys.as_ptr() == Arc::as_ptr(keys)) {
            return Some(known.claims);
        }
        let claims = Arc::new(verify()?);
        let entry = Entry {
            claims: Arc::clone(&claims),
            keys: Arc::downgrade(keys),
        };
        self.0.insert(name, entry);
        Some(claims)
    }
}
