//! Follows the issuer's feed of revocations by long poll, so that a revoked token is refused within a second without a
//! call per request.
//!
//! Never silent: when nothing was heard for longer than [`FeedBuilder::lost_after`], or not yet, every token is
//! refused with 503 or asked about one by one (RFC 7662), as [`WhenLost`] says.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use thiserror::Error;
use tokensmith_jose::strict_json;
use tokensmith_oauth2::{Secret, form};
use tokio::task::JoinHandle;
use url::Url;

use crate::keys::is_safe;
use crate::principal::AccessToken;
use crate::revoked::{Page, Revoked};
use crate::{Clock, ConfigError, Revocations};

const MAX_BODY: usize = 4 * 1024 * 1024;
/// The server answers a poll after 25 seconds at the latest.
const LONGEST_POLL: Duration = Duration::from_secs(25);
const SHORTEST_BOUND: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// For one question about one token.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// What becomes of requests while the feed is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenLost {
    /// They are refused with 503.
    #[default]
    Refuse,
    /// The issuer is asked about each token (RFC 7662); what it does not answer is refused with 503.
    Introspect,
}

/// Settings of a [`RevocationFeed`].
#[derive(Debug)]
pub struct FeedBuilder {
    issuer: String,
    client_id: String,
    client_secret: Secret,
    lost_after: Duration,
    when_lost: WhenLost,
    allow_plain_http: bool,
    clock: Clock,
}

impl FeedBuilder {
    /// How long silence is taken for good news; 15 seconds, at least 5. Within it a connection may be lost and found.
    pub fn lost_after(self, time: Duration) -> Self {
        Self {
            lost_after: time.max(SHORTEST_BOUND),
            ..self
        }
    }

    /// What becomes of requests while the feed is lost; they are refused.
    pub fn when_lost(self, when_lost: WhenLost) -> Self {
        Self { when_lost, ..self }
    }

    /// Lets the feed come over plain HTTP from other machines; for closed networks only.
    pub fn allow_plain_http(self) -> Self {
        Self {
            allow_plain_http: true,
            ..self
        }
    }

    /// Reads the time elsewhere, for tests.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Begins to follow, in a task of its own that ends when the feed is dropped. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn start(self) -> Result<RevocationFeed, ConfigError> {
        let state = Arc::new(State {
            feed: self.endpoint("/oauth/revocations")?,
            introspection: self.endpoint("/oauth/introspect")?,
            client: Client::builder()
                .redirect(Policy::none())
                .referer(false)
                .build()?,
            client_id: form::encode_one(&self.client_id),
            client_secret: Secret::from(form::encode_one(self.client_secret.expose())),
            lost_after: self.lost_after,
            when_lost: self.when_lost,
            clock: self.clock,
            revoked: RwLock::default(),
        });
        let following = tokio::spawn(follow(Arc::clone(&state)));
        Ok(RevocationFeed { state, following })
    }

    fn endpoint(&self, path: &str) -> Result<Url, ConfigError> {
        let address = format!("{}{path}", self.issuer.trim_end_matches('/'));
        let address = Url::parse(&address).ok();
        let safe = address.filter(|address| is_safe(address, self.allow_plain_http));
        safe.ok_or_else(|| ConfigError::Address(self.issuer.clone()))
    }
}

/// The issuer's revocations as they are made. Hand it to [`crate::Builder::revocations`].
#[derive(Debug)]
pub struct RevocationFeed {
    state: Arc<State>,
    following: JoinHandle<()>,
}

impl RevocationFeed {
    /// Follows the feed of a Tokensmith issuer as a client with a secret that is registered for a resource.
    pub fn builder(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> FeedBuilder {
        FeedBuilder {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: Secret::new(client_secret),
            lost_after: Duration::from_secs(15),
            when_lost: WhenLost::default(),
            allow_plain_http: false,
            clock: Clock::system(),
        }
    }
}

impl Drop for RevocationFeed {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Revocations for RevocationFeed {
    fn is_revoked(&self, token: &AccessToken) -> bool {
        self.state.revoked(|revoked| revoked.names(token))
    }

    fn is_current(&self) -> bool {
        self.state.is_current()
    }

    fn ask_issuer<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Option<bool>> {
        Box::pin(async move {
            match self.state.when_lost {
                WhenLost::Refuse => None,
                WhenLost::Introspect => self.state.ask(token).await,
            }
        })
    }
}

#[derive(Debug)]
struct State {
    feed: Url,
    introspection: Url,
    client: Client,
    client_id: String,
    client_secret: Secret,
    lost_after: Duration,
    when_lost: WhenLost,
    clock: Clock,
    revoked: RwLock<Revoked>,
}

/// Why there is no news; for the log.
#[derive(Debug, Error)]
enum FeedError {
    #[error("{0}")]
    Transport(#[from] reqwest::Error),
    #[error("the issuer answered {0}")]
    Status(StatusCode),
    #[error("the issuer's answer is too large")]
    TooLarge,
    #[error("the issuer's answer is malformed")]
    Malformed,
}

#[derive(Deserialize)]
struct Introspection {
    active: bool,
}

async fn follow(state: Arc<State>) {
    let (mut after, mut failures) = (0, 0);
    let mut wait = Duration::ZERO;
    loop {
        let asked_at = Instant::now();
        match state.page(after, wait).await {
            Ok(page) => {
                failures = 0;
                after = page.next;
                wait = if page.more {
                    Duration::ZERO
                } else {
                    state.poll()
                };
                // The answer vouches for the moment of the question; what came after may be on its way.
                state.take(page, asked_at);
            }
            Err(error) => {
                failures += 1;
                wait = Duration::ZERO;
                tracing::warn!(%error, is_lost = !state.is_current(), "the revocation feed does not answer");
                tokio::time::sleep(pause(failures)).await;
            }
        }
    }
}

impl State {
    /// A fifth of the bound: two polls and a repetition fit within it.
    fn poll(&self) -> Duration {
        let seconds = (self.lost_after / 5).min(LONGEST_POLL).as_secs();
        Duration::from_secs(seconds.max(1))
    }

    fn revoked<T>(&self, look: impl FnOnce(&Revoked) -> T) -> T {
        look(&self.revoked.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_current(&self) -> bool {
        self.revoked(|revoked| revoked.is_current(self.lost_after))
    }

    fn take(&self, page: Page, heard_at: Instant) {
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        revoked.take(page, heard_at, self.clock.now());
    }

    async fn page(&self, after: i64, wait: Duration) -> Result<Page, FeedError> {
        let mut address = self.feed.clone();
        let query = format!("after={after}&wait={}", wait.as_secs());
        address.set_query(Some(&query));
        let request = self.client.get(address).timeout(wait + self.lost_after / 5);
        self.read(request).await
    }

    /// `None` when the issuer does not answer.
    async fn ask(&self, token: &str) -> Option<bool> {
        let request = self
            .client
            .post(self.introspection.clone())
            .timeout(ASK_TIMEOUT)
            .form(&[("token", token), ("token_type_hint", "access_token")]);
        match self.read::<Introspection>(request).await {
            Ok(answer) => Some(answer.active),
            Err(error) => {
                tracing::warn!(%error, "the issuer cannot be asked about a token");
                None
            }
        }
    }

    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, FeedError> {
        let request = request.basic_auth(&self.client_id, Some(self.client_secret.expose()));
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(FeedError::Status(response.status()));
        }
        let body = bounded(response).await?;
        strict_json::from_slice(&body).map_err(|_| FeedError::Malformed)
    }
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, FeedError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FeedError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The pause after the `failures`-th failure in a row: doubling, between half and all of it, so that many services do
/// not come back at once. The hasher keys of the standard library differ at each call; nothing secret hangs on it.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let bits = RandomState::new().build_hasher().finish();
    let jitter = f64::from((bits >> 32) as u32) / f64::from(u32::MAX);
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + jitter / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_never_nothing() {
        for failures in 1..40 {
            let full = FIRST_PAUSE * 2u32.pow((failures - 1).min(10));
            let full = full.min(LONGEST_PAUSE);
            let pause = pause(failures);
            assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn the_feed_comes_over_https_or_from_this_machine() {
        let endpoint = |issuer: &str| {
            let feed = RevocationFeed::builder(issuer, "a", "b");
            feed.endpoint("/oauth/revocations")
                .map(|url| url.to_string())
        };
        assert_eq!(
            endpoint("https://a.test/").unwrap(),
            "https://a.test/oauth/revocations"
        );
        assert_eq!(
            endpoint("http://127.0.0.1:1/x").unwrap(),
            "http://127.0.0.1:1/x/oauth/revocations"
        );
        for issuer in ["http://a.test", "ftp://a.test", "", "a.test"] {
            assert!(endpoint(issuer).is_err(), "{issuer}");
        }
    }
}
