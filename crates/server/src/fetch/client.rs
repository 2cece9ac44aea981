//! One GET. The name is resolved once, every address it has is judged, and only these are connected to, so a name
//! that changes its mind between the check and the connection gains nothing.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, header};
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use super::{Policy, RefusedUrl};
use crate::config;

/// For all of it: waiting, name, connection, answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST: usize = 1 << 20;
/// At once, over all addresses.
const AT_ONCE: usize = 16;

/// Why there is no document; for the log, never for a caller.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL may not be fetched.
    #[error("the URL is refused: {0}")]
    Refused(#[from] RefusedUrl),
    /// No connection, or a broken one.
    #[error("{0}")]
    Transport(String),
    /// It took too long.
    #[error("no whole answer within 5 seconds")]
    Timeout,
    /// Another status than 200; a redirect is one of them.
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    /// The body is too large.
    #[error("the answer is over 1 MiB")]
    TooLarge,
    /// The body is not what was asked for.
    #[error("the answer is not a usable JWK set")]
    NotKeys,
    /// It failed a moment ago and is not tried again yet.
    #[error("it failed a moment ago")]
    TooSoon,
}

/// A document.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes.
    pub body: Vec<u8>,
    /// For how long it may be kept, if its sender says so.
    pub max_age: Option<Duration>,
}

/// Fetches. The client is made at the first fetch: reading the system's certificates takes a while, and most servers
/// never fetch.
pub struct Fetcher {
    client: OnceCell<Client>,
    policy: Arc<Policy>,
    slots: Semaphore,
}

impl Fetcher {
    /// By these settings.
    pub fn new(settings: &config::Fetch) -> Self {
        Self {
            client: OnceCell::new(),
            policy: Arc::new(Policy::new(settings)),
            slots: Semaphore::new(AT_ONCE),
        }
    }

    /// What is at this URL now.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn get(&self, url: &str) -> Result<Fetched, FetchError> {
        let url = self.policy.check(url)?;
        let answer = tokio::time::timeout(TIMEOUT, self.fetch(url)).await;
        answer.map_err(|_| FetchError::Timeout)?
    }

    async fn fetch(&self, url: Url) -> Result<Fetched, FetchError> {
        let _slot = self.slots.acquire().await;
        let client = self.client.get_or_try_init(async || client(&self.policy));
        let client = client.await.map_err(transport)?;
        let mut response = client.get(url).send().await.map_err(transport)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let max_age = max_age(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { body, max_age })
    }
}

fn client(policy: &Arc<Policy>) -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .timeout(TIMEOUT)
        // A kept connection would be used again without a look at its address.
        .pool_max_idle_per_host(0)
        .user_agent("tokensmith")
        .dns_resolver(Judging(policy.clone()))
        .build()
}

/// With its causes: the outermost error alone says no more than that it failed.
fn transport(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    FetchError::Transport(text)
}

/// `max-age` (RFC 9111 §5.2.2.1); zero where nothing may be kept.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::CACHE_CONTROL)?.to_str().ok()?;
    let mut age = None;
    for directive in text.split(',').map(|part| part.trim().to_ascii_lowercase()) {
        if directive == "no-store" || directive == "no-cache" {
            return Some(Duration::ZERO);
        }
        let seconds = directive
            .strip_prefix("max-age=")
            .and_then(|seconds| seconds.parse().ok());
        age = age.or(seconds.map(Duration::from_secs));
    }
    age
}

/// Resolves a name and refuses it unless each of its addresses is permitted.
struct Judging(Arc<Policy>);

impl Resolve for Judging {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if found.iter().any(|address| !policy.permits(address.ip())) {
                return Err(RefusedUrl::NotPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
