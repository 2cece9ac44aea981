//! One limit with its quota: counted here, and in Redis where there is one.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tokensmith_store::Timestamp;

use super::{Limited, Memory, Shared, Verdict, remaining};
use crate::config::Quota;

/// What is counted apart from others: an address, a name, or both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    pub(super) ip: Option<IpAddr>,
    pub(super) name: &'a str,
}

/// What a counter said, for the header fields of the answer.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) limit: String,
    pub(super) quota: Quota,
    pub(super) remaining: i64,
    pub(super) reset: Duration,
    pub(super) limited: Option<Limited>,
}

pub(super) struct Counter {
    name: String,
    quota: Quota,
    memory: Memory,
    hasher: RandomState,
}

impl Counter {
    pub(super) fn new(name: impl Into<String>, quota: Quota) -> Self {
        Self {
            name: name.into(),
            quota,
            memory: Memory::default(),
            hasher: RandomState::new(),
        }
    }

    /// Whether one more event would be allowed, as far as this node knows.
    pub(super) fn check(&self, of: Of<'_>, now: Timestamp) -> Result<(), Limited> {
        let verdict = self.memory.look(self.key(of), self.quota, micros(now));
        limited(verdict, false).map_or(Ok(()), Err)
    }

    /// Counts one event. What this node knows to be refused is refused without asking anybody.
    pub(super) async fn take(
        &self,
        shared: Option<&Shared>,
        of: Of<'_>,
        now: Timestamp,
    ) -> Decision {
        let (key, micros) = (self.key(of), micros(now));
        let known = self.memory.look(key, self.quota, micros);
        let answer = match shared {
            Some(shared) if known.wait == 0 => self.ask(shared, of).await,
            _ => None,
        };
        let (verdict, is_first) = match answer {
            Some(verdict) => (verdict, self.memory.learn(key, verdict, micros)),
            None => self.memory.take(key, self.quota, micros),
        };
        self.decision(verdict, is_first)
    }

    async fn ask(&self, shared: &Shared, of: Of<'_>) -> Option<Verdict> {
        let ip = of.ip.map(|ip| network(ip).to_string()).unwrap_or_default();
        let words = [self.name.as_bytes(), ip.as_bytes(), of.name.as_bytes()];
        shared.take(&words, self.quota).await
    }

    fn decision(&self, verdict: Verdict, is_first: bool) -> Decision {
        let outcome = if verdict.wait > 0 {
            "refused"
        } else {
            "allowed"
        };
        let limit = self.name.clone();
        metrics::counter!("tokensmith_rate_limit_decisions_total", "limit" => limit.clone(), "outcome" => outcome)
            .increment(1);
        Decision {
            limit,
            quota: self.quota,
            remaining: remaining(self.quota, verdict),
            reset: Duration::from_micros(verdict.ahead.unsigned_abs()),
            limited: limited(verdict, is_first),
        }
    }

    fn key(&self, of: Of<'_>) -> u64 {
        self.hasher.hash_one((of.ip.map(network), of.name))
    }
}

fn limited(verdict: Verdict, is_first: bool) -> Option<Limited> {
    (verdict.wait > 0).then(|| Limited {
        retry_after: Duration::from_micros(verdict.wait.unsigned_abs()),
        is_first,
    })
}

fn micros(now: Timestamp) -> i64 {
    now.as_millis().saturating_mul(1000)
}

/// Whoever has one IPv6 address has the whole /64, so it counts as one.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_counts_with_its_network_and_an_ipv4_address_alone() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
    }
}
