//! The issuer's keys: one fetch for any number of callers, served while a newer set is on its way.
//! An unknown key id costs at most one fetch an interval; everything between is refused from memory.

mod fetch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokensmith_jose::{JwkSet, KeyError, KeySet};
use tokio::sync::Mutex;

pub(crate) use fetch::{Fetch, Source, is_safe};

/// How long a set serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    /// Then it is fetched again in the background; after twice that, before the next answer.
    pub(crate) fresh: Duration,
    /// The end of a set while the issuer does not answer.
    pub(crate) usable: Duration,
    /// The least time between two fetches.
    pub(crate) interval: Duration,
}

/// While there are no keys at all, nothing works; so ask more often.
const FIRST_KEYS_INTERVAL: Duration = Duration::from_secs(1);

/// One set as it was fetched.
pub(crate) struct Loaded {
    pub(crate) keys: KeySet,
    /// Changes when the set does.
    pub(crate) generation: u64,
    document: JwkSet,
    at: Instant,
}

pub(crate) struct Keys {
    fetch: Option<Fetch>,
    lifetimes: Lifetimes,
    loaded: ArcSwapOption<Loaded>,
    /// Held during a fetch; the moment the last one began.
    gate: Mutex<Option<Instant>>,
    attempts: AtomicU64,
}

impl Keys {
    pub(crate) fn fetched(fetch: Fetch, lifetimes: Lifetimes) -> Arc<Self> {
        Arc::new(Self {
            fetch: Some(fetch),
            lifetimes,
            loaded: ArcSwapOption::empty(),
            gate: Mutex::new(None),
            attempts: AtomicU64::new(0),
        })
    }

    /// A set that never changes.
    pub(crate) fn fixed(document: JwkSet, lifetimes: Lifetimes) -> Result<Arc<Self>, KeyError> {
        let keys = KeySet::from_jwks(&document)?;
        let loaded = Loaded {
            keys,
            generation: 1,
            document,
            at: Instant::now(),
        };
        Ok(Arc::new(Self {
            fetch: None,
            lifetimes,
            loaded: ArcSwapOption::from_pointee(loaded),
            gate: Mutex::new(None),
            attempts: AtomicU64::new(0),
        }))
    }

    /// The set to judge by now; `None` while there is none that may be used.
    pub(crate) async fn current(self: &Arc<Self>) -> Option<Arc<Loaded>> {
        let loaded = self.loaded.load_full();
        match loaded {
            Some(loaded) if self.is_current(&loaded) => Some(loaded),
            _ => {
                self.refresh().await;
                self.loaded
                    .load_full()
                    .filter(|loaded| loaded.at.elapsed() < self.lifetimes.usable)
            }
        }
    }

    /// A set other than `seen`, for a token whose key `seen` does not hold.
    pub(crate) async fn newer_than(self: &Arc<Self>, seen: &Loaded) -> Option<Arc<Loaded>> {
        self.fetch.as_ref()?;
        self.refresh().await;
        self.loaded
            .load_full()
            .filter(|loaded| loaded.generation != seen.generation)
    }

    /// Whether the set may serve as it is; starts a fetch in the background when it grows old.
    fn is_current(self: &Arc<Self>, loaded: &Loaded) -> bool {
        if self.fetch.is_none() {
            return true;
        }
        let age = loaded.at.elapsed();
        if age >= self.lifetimes.fresh && self.may_fetch() {
            let keys = Arc::clone(self);
            let seen = self.attempts.load(Ordering::Acquire);
            tokio::spawn(async move { keys.fetch_unless_done_since(seen).await });
        }
        age < self.lifetimes.fresh * 2
    }

    /// Waits for one fetch, its own or one under way. The task outlives a caller that goes away.
    async fn refresh(self: &Arc<Self>) {
        let seen = self.attempts.load(Ordering::Acquire);
        if !self.may_fetch() {
            return;
        }
        let keys = Arc::clone(self);
        let fetch = tokio::spawn(async move { keys.fetch_unless_done_since(seen).await });
        if fetch.await.is_err() {
            tracing::error!("the task that fetches the issuer's keys ended early");
        }
    }

    /// False only when no fetch is under way and the last one began less than an interval ago.
    fn may_fetch(&self) -> bool {
        self.gate.try_lock().map_or(true, |last| self.is_due(*last))
    }

    fn is_due(&self, last: Option<Instant>) -> bool {
        let interval = match self.loaded.load().as_ref() {
            Some(_) => self.lifetimes.interval,
            None => self.lifetimes.interval.min(FIRST_KEYS_INTERVAL),
        };
        last.is_none_or(|last| last.elapsed() >= interval)
    }

    async fn fetch_unless_done_since(&self, seen: u64) {
        let Some(fetch) = &self.fetch else { return };
        let mut last = self.gate.lock().await;
        if self.attempts.load(Ordering::Acquire) != seen || !self.is_due(*last) {
            return;
        }
        *last = Some(Instant::now());
        match fetch.key_set().await {
            Ok((document, keys)) => self.store(document, keys),
            Err(error) => tracing::warn!(%error, "the issuer's keys could not be fetched"),
        }
        self.attempts.fetch_add(1, Ordering::Release);
    }

    fn store(&self, document: JwkSet, keys: KeySet) {
        let generation = match self.loaded.load().as_ref() {
            Some(before) if before.document == document => before.generation,
            Some(before) => before.generation + 1,
            None => 1,
        };
        self.loaded.store(Some(Arc::new(Loaded {
            keys,
            generation,
            document,
            at: Instant::now(),
        })));
    }
}
