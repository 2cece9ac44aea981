//! Tokens seen before, by the SHA-256 of their whole text. One store per verifier, so issuer and audience are its own.
//! Holds what a token says, never what its caller may do, and nothing about refused tokens.

use std::sync::Arc;

use aws_lc_rs::digest;
use quick_cache::sync::Cache;

use crate::principal::AccessToken;

/// The name of a token in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

#[derive(Clone)]
struct Entry {
    token: Arc<AccessToken>,
    generation: u64,
}

/// A bounded store; the least useful entries leave first.
pub(crate) struct Seen(Cache<TokenHash, Entry>);

impl Seen {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// The token, while it lasts and the keys are those it was verified with.
    pub(crate) fn get(
        &self,
        hash: &TokenHash,
        generation: u64,
        now: u64,
    ) -> Option<Arc<AccessToken>> {
        let entry = self.0.get(hash)?;
        if entry.token.expires_at <= now {
            self.0.remove(hash);
            return None;
        }
        (entry.generation == generation).then_some(entry.token)
    }

    pub(crate) fn insert(&self, hash: TokenHash, generation: u64, token: Arc<AccessToken>) {
        self.0.insert(hash, Entry { token, generation });
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use tokensmith_oauth2::Scope;

    use super::*;
    use crate::principal::{Principal, ServicePrincipal};

    fn token(expires_at: u64) -> Arc<AccessToken> {
        let principal = Principal::Service(ServicePrincipal {
            client_id: "svc".into(),
            org_id: None,
            scope: Scope::empty(),
            roles: Vec::new(),
            permissions: Vec::new(),
        });
        Arc::new(AccessToken {
            principal,
            confirmation: None,
            client_id: None,
            actor: None,
            derived_from: Default::default(),
            grant_id: None,
            acr: None,
            amr: Vec::new(),
            auth_time: None,
            jti: None,
            issued_at: None,
            expires_at,
        })
    }

    #[test]
    fn an_entry_ends_with_its_token_and_with_its_keys() {
        let seen = Seen::new(8);
        let hash = TokenHash::of("a");
        seen.insert(hash, 1, token(100));
        assert!(seen.get(&hash, 1, 99).is_some());
        assert!(seen.get(&TokenHash::of("b"), 1, 99).is_none());
        assert!(seen.get(&hash, 2, 99).is_none());
        seen.insert(hash, 2, token(100));
        assert!(seen.get(&hash, 2, 100).is_none());
    }

    #[test]
    fn the_store_never_exceeds_its_capacity() {
        let seen = Seen::new(50);
        for n in 0..5_000 {
            seen.insert(TokenHash::of(&n.to_string()), 1, token(100));
        }
        assert!(seen.len() <= 50, "{}", seen.len());
    }
}
