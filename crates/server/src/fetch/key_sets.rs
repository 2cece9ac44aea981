//! Public keys that others publish: one fetch for any number of callers, kept as long as their sender says within
//! bounds, and a while longer when the sender does not answer. An unknown key id costs at most one fetch an interval.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use tokensmith_jose::{Algorithm, JwkSet, KeySet};
use tokio::sync::{Mutex, Semaphore};

use super::{FetchError, Fetcher};
use crate::assertion::key_set_of;

/// Addresses whose keys are kept.
const ADDRESSES: usize = 10_000;
const SHORTEST_LIFE: Duration = Duration::from_secs(60);
const USUAL_LIFE: Duration = Duration::from_secs(10 * 60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How much longer a set serves while its sender does not answer.
const STALE: Duration = Duration::from_secs(3600);
/// Between two fetches of one set: while there are keys, and while there are none, doubled with each failure.
const INTERVAL: Duration = Duration::from_secs(10);
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// Requests that wait for one fetch. More are refused at once, so that a sender who never answers holds no more.
const WAITING: usize = 64;

/// Where somebody's keys are, and what RSA keys among them are for when they do not say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyAddress {
    /// The `jwks_uri`.
    pub url: String,
    /// The registered algorithm.
    pub algorithm: Option<Algorithm>,
}

/// The keys of others, by address.
pub struct KeySets {
    fetcher: Arc<Fetcher>,
    sets: Cache<KeyAddress, Arc<Remote>>,
}

struct Remote {
    fetcher: Arc<Fetcher>,
    address: KeyAddress,
    kept: ArcSwapOption<Kept>,
    /// Held during a fetch; the moment the last one began.
    gate: Mutex<Option<Instant>>,
    attempts: AtomicU64,
    /// In a row.
    failures: AtomicU32,
    waiting: Semaphore,
}

struct Kept {
    keys: Arc<KeySet>,
    fresh_until: Instant,
}

impl KeySets {
    /// None yet.
    pub fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher: Arc::new(fetcher),
            sets: Cache::new(ADDRESSES),
        }
    }

    /// The keys to verify by now.
    ///
    /// # Errors
    /// [`FetchError::TooSoon`] when there are none; why was logged when they were fetched.
    pub async fn current(&self, address: &KeyAddress) -> Result<Arc<KeySet>, FetchError> {
        let remote = self.remote(address);
        match remote.kept.load_full() {
            Some(kept) if Instant::now() < kept.fresh_until => Ok(kept.keys.clone()),
            Some(kept) if Instant::now() < kept.fresh_until + STALE => {
                tokio::spawn(async move { remote.refresh().await });
                Ok(kept.keys.clone())
            }
            _ => {
                remote.refresh_once().await;
                let kept = remote.kept.load_full();
                let kept = kept.filter(|kept| Instant::now() < kept.fresh_until);
                kept.map(|kept| kept.keys.clone())
                    .ok_or(FetchError::TooSoon)
            }
        }
    }

    /// Other keys than these, which do not hold the one that is looked for.
    pub async fn newer_than(
        &self,
        address: &KeyAddress,
        seen: &Arc<KeySet>,
    ) -> Option<Arc<KeySet>> {
        let remote = self.remote(address);
        remote.refresh_once().await;
        let kept = remote.kept.load_full()?;
        (!Arc::ptr_eq(&kept.keys, seen)).then(|| kept.keys.clone())
    }

    fn remote(&self, address: &KeyAddress) -> Arc<Remote> {
        let made = self.sets.get_or_insert_with(address, || {
            Ok::<_, std::convert::Infallible>(Arc::new(Remote {
                fetcher: self.fetcher.clone(),
                address: address.clone(),
                kept: ArcSwapOption::empty(),
                gate: Mutex::new(None),
                attempts: AtomicU64::new(0),
                failures: AtomicU32::new(0),
                waiting: Semaphore::new(WAITING),
            }))
        });
        match made {
            Ok(remote) => remote,
            Err(never) => match never {},
        }
    }
}

impl Remote {
    /// Waits for one fetch, its own or one under way. The task outlives a caller that goes away.
    async fn refresh_once(self: &Arc<Self>) {
        let Ok(_place) = self.waiting.try_acquire() else {
            return;
        };
        let remote = self.clone();
        if tokio::spawn(async move { remote.refresh().await })
            .await
            .is_err()
        {
            tracing::error!("the task that fetches keys ended early");
        }
    }

    /// Fetches, unless somebody did since the call or a moment before.
    async fn refresh(&self) {
        let seen = self.attempts.load(Ordering::Acquire);
        if self.gate.try_lock().is_ok_and(|last| !self.is_due(*last)) {
            return;
        }
        let mut last = self.gate.lock().await;
        if self.attempts.load(Ordering::Acquire) != seen || !self.is_due(*last) {
            return;
        }
        *last = Some(Instant::now());
        match self.fetch().await {
            Ok(()) => self.failures.store(0, Ordering::Release),
            Err(error) => {
                self.failures.fetch_add(1, Ordering::AcqRel);
                tracing::warn!(url = self.address.url, %error, "keys could not be fetched");
            }
        }
        self.attempts.fetch_add(1, Ordering::Release);
    }

    fn is_due(&self, last: Option<Instant>) -> bool {
        let interval = if self.kept.load().is_some() {
            INTERVAL
        } else {
            FIRST_INTERVAL
        };
        let doubled = self
            .failures
            .load(Ordering::Acquire)
            .saturating_sub(1)
            .min(6);
        let interval = interval.saturating_mul(1 << doubled).min(LONGEST_INTERVAL);
        last.is_none_or(|last| last.elapsed() >= interval)
    }

    async fn fetch(&self) -> Result<(), FetchError> {
        let fetched = self.fetcher.get(&self.address.url).await?;
        let set = JwkSet::from_slice(&fetched.body).map_err(|_| FetchError::NotKeys)?;
        let keys = key_set_of(set, self.address.algorithm).map_err(|_| FetchError::NotKeys)?;
        let life = fetched
            .max_age
            .unwrap_or(USUAL_LIFE)
            .clamp(SHORTEST_LIFE, LONGEST_LIFE);
        self.kept.store(Some(Arc::new(Kept {
            keys: Arc::new(keys),
            fresh_until: Instant::now() + life,
        })));
        Ok(())
    }
}
