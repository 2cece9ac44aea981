//! Rate limits by the generic cell rate algorithm: one number per key, in a bounded memory.
//!
//! A key that falls out of memory starts anew; the bound is far above what one address can fill between two refills.

mod limits;

use std::{hash::Hash, time::Duration};

use parking_lot::Mutex;
use quick_cache::unsync::Cache;
use tokensmith_store::Timestamp;

pub use limits::{Limits, SignInAttempt};

/// So many at once, and then one more every so often.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Allowed at once.
    pub burst: u32,
    /// Time in which one more is allowed.
    pub refill: Duration,
}

/// A limiter with one quota for many keys.
pub struct RateLimiter<K> {
    quota: Quota,
    /// Theoretical arrival time per key, in milliseconds since the Unix epoch.
    arrivals: Mutex<Cache<K, i64>>,
}

/// The limit was reached; another try is allowed after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// How long to wait.
    pub retry_after: Duration,
}

impl<K: Hash + Eq + Clone> RateLimiter<K> {
    /// A limiter that remembers at most `keys` keys.
    pub fn new(quota: Quota, keys: usize) -> Self {
        Self {
            quota,
            arrivals: Mutex::new(Cache::new(keys)),
        }
    }

    /// Counts one event of `key`.
    ///
    /// # Errors
    /// [`Limited`], and then the event does not count.
    pub fn take(&self, key: &K, now: Timestamp) -> Result<(), Limited> {
        let mut arrivals = self.arrivals.lock();
        let next = self.decide(arrivals.get(key).copied(), now)?;
        arrivals.insert(key.clone(), next);
        Ok(())
    }

    /// Whether one more event of `key` would be allowed, without counting it.
    ///
    /// # Errors
    /// [`Limited`].
    pub fn check(&self, key: &K, now: Timestamp) -> Result<(), Limited> {
        self.decide(self.arrivals.lock().get(key).copied(), now)
            .map(drop)
    }

    fn decide(&self, arrival: Option<i64>, now: Timestamp) -> Result<i64, Limited> {
        let refill = i64::try_from(self.quota.refill.as_millis()).unwrap_or(i64::MAX);
        let tolerance = refill.saturating_mul(i64::from(self.quota.burst.saturating_sub(1)));
        // A clock that jumped back must not lock a key out for the length of the jump.
        let latest = now
            .as_millis()
            .saturating_add(tolerance)
            .saturating_add(refill);
        let arrival = arrival.unwrap_or(i64::MIN).clamp(now.as_millis(), latest);
        let wait = arrival
            .saturating_sub(now.as_millis())
            .saturating_sub(tolerance);
        if wait > 0 {
            return Err(Limited {
                retry_after: Duration::from_millis(wait.unsigned_abs()),
            });
        }
        Ok(arrival.saturating_add(refill))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_burst_passes_then_one_every_refill() {
        let limiter = RateLimiter::new(
            Quota {
                burst: 3,
                refill: Duration::from_secs(1),
            },
            10,
        );
        assert!((0..3).all(|_| limiter.take(&"a", at(0)).is_ok()));
        assert_eq!(
            limiter.take(&"a", at(0)),
            Err(Limited {
                retry_after: Duration::from_secs(1)
            })
        );
        assert_eq!(
            limiter.take(&"a", at(400)),
            Err(Limited {
                retry_after: Duration::from_millis(600)
            })
        );
        assert_eq!(limiter.take(&"a", at(1000)), Ok(()));
        assert!(limiter.take(&"b", at(0)).is_ok());
    }

    #[test]
    fn a_refused_event_does_not_prolong_the_wait_and_a_clock_set_back_does_not_either() {
        let limiter = RateLimiter::new(
            Quota {
                burst: 1,
                refill: Duration::from_secs(1),
            },
            10,
        );
        assert!(limiter.take(&"a", at(900_000)).is_ok());
        assert!((0..50).all(|_| limiter.take(&"a", at(900_000)).is_err()));
        assert!(limiter.take(&"a", at(901_000)).is_ok());
        assert_eq!(
            limiter.check(&"a", at(0)),
            Err(Limited {
                retry_after: Duration::from_secs(1)
            })
        );
    }
}
