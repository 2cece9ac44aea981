//! The verifier: from a token's text to the caller it speaks of (RFC 9068 section 4).
//! Signature and claims are judged once per token; expiry, keys and revocation at every request.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::request::Parts;
use tokensmith_jose::{Expect, MAX_TOKEN, Verified, VerifyError};
use tokensmith_oauth2::{Confirmation, ScopeHierarchy};

use crate::bearer::{self, Shown};
use crate::claims::{Claims, Expected};
use crate::dpop::Dpop;
use crate::keys::{Keys, Loaded};
use crate::legacy::Legacy;
use crate::principal::AccessToken;
use crate::refusal::{BOUND_TO_CERTIFICATE, BOUND_TO_KEY, Cause};
use crate::seen::{Seen, TokenHash};
use crate::{AuthenticateLayer, Builder, Caller, ClientCertificate, Clock, Refusal, TokenError};

/// Stands for the shared secret where published keys have their generation.
const LEGACY: u64 = 0;

const ACCESS_TOKEN: Expect<'static> = Expect::typ(&["at+jwt"]);

/// Knows the tokens that were revoked before they expired. Asked at every request, so it must answer from memory.
pub trait Revocations: Send + Sync + 'static {
    /// Whether this token, or the session, user or client behind it, was revoked.
    fn is_revoked(&self, token: &AccessToken) -> bool;

    /// Whether what is known is recent enough to accept a token on its strength.
    fn is_current(&self) -> bool {
        true
    }

    /// Asks the issuer whether a token is active, while what is known is not current. `None`: nobody can say, and
    /// the request is refused with 503.
    fn ask_issuer<'a>(&'a self, _token: &'a str) -> BoxFuture<'a, Option<bool>> {
        Box::pin(std::future::ready(None))
    }
}

/// Verifies the tokens of one issuer for one audience. Cloning is cheap and shares keys and cache.
#[derive(Clone)]
pub struct ResourceServer(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) keys: Arc<Keys>,
    pub(crate) legacy: Option<Legacy>,
    pub(crate) seen: Seen,
    pub(crate) clock: Clock,
    pub(crate) revocations: Option<Arc<dyn Revocations>>,
    pub(crate) dpop: Option<Dpop>,
    pub(crate) hierarchy: ScopeHierarchy,
    pub(crate) scopes_supported: Vec<String>,
    pub(crate) resource_metadata: Option<Arc<str>>,
}

impl ResourceServer {
    /// Settings for the tokens of `issuer` (compared by code points) that name `audience`, this service's identifier.
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> Builder {
        Builder::new(issuer.into(), audience.into())
    }

    pub(crate) fn from_shared(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A layer that refuses every request without a good token and hands the [`Caller`] to those it lets pass.
    pub fn layer(&self) -> AuthenticateLayer {
        AuthenticateLayer::new(self.clone())
    }

    /// Whether the issuer's keys are at hand, fetching them if need be. For readiness checks.
    pub async fn is_ready(&self) -> bool {
        self.0.keys.current().await.is_some()
    }

    /// The caller of a request; `None` when it carries no token. A proof that comes with it is used up.
    ///
    /// # Errors
    /// [`Refusal`] for a token in the wrong place, a bad token or proof, or while there are no keys.
    pub async fn authenticate(&self, parts: &Parts) -> Result<Option<Caller>, Refusal> {
        let authenticated = async {
            match bearer::token(&parts.headers, &parts.uri)? {
                Some(shown) => self.0.check(shown, Some(parts)).await.map(Some),
                None => Ok(None),
            }
        };
        match authenticated.await {
            Ok(token) => Ok(token.map(|token| Caller::new(token, self.clone()))),
            Err(cause) => Err(self.refusal(cause)),
        }
    }

    /// The caller that a bearer token speaks of; a token that is bound to a key is refused.
    ///
    /// # Errors
    /// [`Refusal`] for a bad token, or while there are no keys.
    pub async fn verify(&self, token: &str) -> Result<Caller, Refusal> {
        match self.0.check(Shown::as_bearer(token), None).await {
            Ok(token) => Ok(Caller::new(token, self.clone())),
            Err(cause) => Err(self.refusal(cause)),
        }
    }

    pub(crate) fn refusal(&self, cause: Cause) -> Refusal {
        let takes_dpop = self.0.dpop.is_some();
        Refusal::new(cause, self.0.resource_metadata.clone(), takes_dpop)
    }
}

impl Shared {
    async fn check(
        &self,
        shown: Shown<'_>,
        parts: Option<&Parts>,
    ) -> Result<Arc<AccessToken>, Cause> {
        let text = shown.token;
        if text.len() > MAX_TOKEN {
            return Err(VerifyError::TooLong.into());
        }
        let token = self.accept(text).await?;
        self.check_key(&token, shown, parts).await?;
        // Not part of what is remembered: a revocation counts from the next request on.
        if let Some(revocations) = &self.revocations {
            check_revocation(revocations.as_ref(), &token, text).await?;
        }
        Ok(token)
    }

    /// Whether the token was shown as it was issued. Not part of what is remembered: every request proves the key anew.
    async fn check_key(
        &self,
        token: &AccessToken,
        shown: Shown<'_>,
        parts: Option<&Parts>,
    ) -> Result<(), Cause> {
        match (shown.by_dpop, token.confirmation) {
            (false, None) => Ok(()),
            (true, Some(Confirmation::Jkt(key))) => {
                let (Some(dpop), Some(parts)) = (&self.dpop, parts) else {
                    return Err(BOUND_TO_KEY.into());
                };
                dpop.prove(parts, shown.token, key, self.clock.now()).await
            }
            (true, _) if self.dpop.is_none() => Err(BOUND_TO_KEY.into()),
            (true, _) => Err(TokenError::Unproven("the token is not bound to a key").into()),
            (false, Some(Confirmation::Certificate(bound))) => {
                let shown = parts.and_then(|parts| parts.extensions.get::<ClientCertificate>());
                let is_shown = shown.is_some_and(|certificate| certificate.is(bound));
                is_shown.then_some(()).ok_or(BOUND_TO_CERTIFICATE.into())
            }
            (false, Some(Confirmation::Jkt(_))) => Err(BOUND_TO_KEY.into()),
        }
    }

    /// Tokens under a shared secret need no published keys, so they are judged first.
    async fn accept(&self, text: &str) -> Result<Arc<AccessToken>, Cause> {
        let seen = SeenToken {
            hash: TokenHash::of(text),
            now: self.clock.now(),
        };
        if let Some(legacy) = &self.legacy {
            if let Some(token) = self.seen.get(&seen.hash, LEGACY, seen.now) {
                return Ok(token);
            }
            if let Some(outcome) = legacy.verify(text) {
                return self.remember(&seen, LEGACY, &outcome?);
            }
        }
        let keys = self.keys.current().await.ok_or(Cause::Unavailable)?;
        if let Some(token) = self.seen.get(&seen.hash, keys.generation, seen.now) {
            return Ok(token);
        }
        let (verified, generation) = self.verify(text, &keys).await?;
        self.remember(&seen, generation, &verified)
    }

    /// The signature, and the generation of the keys it was checked with.
    async fn verify(&self, text: &str, keys: &Loaded) -> Result<(Verified, u64), Cause> {
        match keys.keys.verify(text, ACCESS_TOKEN) {
            Err(VerifyError::UnknownKey) => {
                let newer = self.keys.newer_than(keys).await;
                let newer = newer.ok_or(VerifyError::UnknownKey)?;
                Ok((newer.keys.verify(text, ACCESS_TOKEN)?, newer.generation))
            }
            outcome => Ok((outcome?, keys.generation)),
        }
    }

    fn remember(
        &self,
        seen: &SeenToken,
        generation: u64,
        verified: &Verified,
    ) -> Result<Arc<AccessToken>, Cause> {
        let claims: Claims = verified.claims().map_err(|_| TokenError::Claims)?;
        let expected = Expected {
            issuer: &self.issuer,
            audience: &self.audience,
            now: seen.now,
        };
        let token = Arc::new(claims.accept(&expected)?);
        self.seen.insert(seen.hash, generation, Arc::clone(&token));
        Ok(token)
    }
}

async fn check_revocation(
    revocations: &dyn Revocations,
    token: &AccessToken,
    text: &str,
) -> Result<(), Cause> {
    if revocations.is_revoked(token) {
        return Err(TokenError::Revoked.into());
    }
    if revocations.is_current() {
        return Ok(());
    }
    match revocations.ask_issuer(text).await {
        Some(true) => Ok(()),
        Some(false) => Err(TokenError::Revoked.into()),
        None => Err(Cause::RevocationsUnknown),
    }
}

/// A token's name in the cache, and the one moment at which its request happens.
struct SeenToken {
    hash: TokenHash,
    now: u64,
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ResourceServer({} for {})",
            self.0.audience, self.0.issuer
        )
    }
}
