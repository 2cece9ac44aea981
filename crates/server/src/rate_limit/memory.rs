//! Counters in this process, in a bounded memory. A key that falls out starts anew; the bound is far above what one
//! address can fill between two refills. Keys are hashes, so nobody can fill the memory with long names.

use parking_lot::Mutex;
use quick_cache::unsync::Cache;

use super::{Verdict, decide};
use crate::config::Quota;

const KEYS: usize = 50_000;

/// The counters of one limit.
pub struct Memory {
    arrivals: Mutex<Cache<u64, Arrival>>,
}

#[derive(Clone, Copy)]
struct Arrival {
    /// Theoretical arrival time in microseconds since the Unix epoch.
    at: i64,
    /// Whether a refusal was told since something was allowed.
    told: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            arrivals: Mutex::new(Cache::new(KEYS)),
        }
    }
}

impl Memory {
    /// Counts one event; a refused one does not count. Says whether it is the first refusal since something was allowed.
    pub fn take(&self, key: u64, quota: Quota, now: i64) -> (Verdict, bool) {
        let mut arrivals = self.arrivals.lock();
        let known = arrivals.get(&key).copied();
        let verdict = decide(quota, known.map(|known| known.at), now);
        let told = verdict.wait > 0;
        let is_first = told && !known.is_some_and(|known| known.told);
        let at = now.saturating_add(verdict.ahead);
        arrivals.insert(key, Arrival { at, told });
        (verdict, is_first)
    }

    /// What [`Memory::take`] would say, without counting.
    pub fn look(&self, key: u64, quota: Quota, now: i64) -> Verdict {
        let at = self.arrivals.lock().get(&key).map(|known| known.at);
        decide(quota, at, now)
    }

    /// Takes over what another memory said.
    pub fn learn(&self, key: u64, verdict: Verdict, now: i64) -> bool {
        let mut arrivals = self.arrivals.lock();
        let told = verdict.wait > 0;
        let was_told = arrivals.get(&key).is_some_and(|known| known.told);
        let at = now.saturating_add(verdict.ahead);
        arrivals.insert(key, Arrival { at, told });
        told && !was_told
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn quota(count: u32, seconds: u64) -> Quota {
        Quota::new(count.try_into().unwrap(), Duration::from_secs(seconds)).unwrap()
    }

    fn waits(memory: &Memory, key: u64, quota: Quota, now: i64) -> i64 {
        memory.take(key, quota, now).0.wait
    }

    #[test]
    fn a_burst_passes_then_one_every_refill() {
        let (memory, quota, now) = (Memory::default(), quota(3, 3), 1000 * SECOND);
        assert!((0..3).all(|_| waits(&memory, 1, quota, now) == 0));
        assert_eq!(waits(&memory, 1, quota, now), SECOND);
        assert_eq!(waits(&memory, 1, quota, now + 400_000), 600_000);
        assert_eq!(waits(&memory, 1, quota, now + SECOND), 0);
        assert_eq!(waits(&memory, 2, quota, now), 0);
    }

    #[test]
    fn a_refused_event_does_not_prolong_the_wait_and_a_clock_set_back_does_not_either() {
        let (memory, quota, now) = (Memory::default(), quota(1, 1), 900 * SECOND);
        assert_eq!(waits(&memory, 1, quota, now), 0);
        assert!((0..50).all(|_| waits(&memory, 1, quota, now) == SECOND));
        assert_eq!(waits(&memory, 1, quota, now + SECOND), 0);
        assert_eq!(memory.look(1, quota, 0).wait, SECOND);
    }

    #[test]
    fn only_the_first_refusal_in_a_row_is_told() {
        let (memory, quota, now) = (Memory::default(), quota(1, 1), 900 * SECOND);
        let told = |now| memory.take(1, quota, now).1;
        assert_eq!([told(now), told(now), told(now)], [false, true, false]);
        assert_eq!([told(now + SECOND), told(now + SECOND)], [false, true]);
    }
}
