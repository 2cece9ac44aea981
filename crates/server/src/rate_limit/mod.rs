//! Rate limits by the generic cell rate algorithm: one number per counted thing, in this process or in Redis.
//!
//! Both follow the same rule. What Redis answers is kept here too, so that a refusal costs no second question and
//! that the counting goes on, node by node, while Redis is down. Never open, never an error.

mod count;
mod counter;
mod fields;
mod limits;
mod memory;
mod redis;

use std::time::Duration;

use crate::config::Quota;

pub use count::{Counted, Uncounted, count};
pub use fields::{Shown, fields};
pub use limits::{ClientAttempt, Limits, SignInAttempt};
pub use memory::Memory;
pub use redis::Shared;

/// The limit was reached; another try is allowed after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// How long to wait.
    pub retry_after: Duration,
    /// Whether it is the first refusal since something was allowed: the one that is recorded.
    pub is_first: bool,
}

/// What the rule says of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Microseconds to wait; 0: the event is allowed.
    pub wait: i64,
    /// How far the counter is ahead of now, in microseconds: after so long the whole quota is free again.
    pub ahead: i64,
}

/// The rule: `arrival` is the theoretical arrival time kept for the key and `now` the instant, in microseconds.
/// An event that is refused does not count.
pub fn decide(quota: Quota, arrival: Option<i64>, now: i64) -> Verdict {
    let refill = quota.refill_micros();
    let tolerance = refill * i64::from(quota.count() - 1);
    // A clock that jumped back must not lock a key out for the length of the jump.
    let latest = now.saturating_add(tolerance).saturating_add(refill);
    let arrival = arrival.unwrap_or(i64::MIN).clamp(now, latest);
    let ahead = arrival - now;
    match ahead - tolerance {
        wait if wait > 0 => Verdict { wait, ahead },
        _ => Verdict {
            wait: 0,
            ahead: ahead + refill,
        },
    }
}

/// How many more are allowed at once.
pub fn remaining(quota: Quota, verdict: Verdict) -> i64 {
    let refill = quota.refill_micros();
    let free = refill * i64::from(quota.count()) - verdict.ahead;
    (free / refill).max(0)
}
