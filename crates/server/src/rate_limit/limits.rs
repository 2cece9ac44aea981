//! The limits of endpoints that anybody may call: how often something may fail, or be asked for at all.
//!
//! Kept by this process alone; keys are hashes, so that nobody can fill the memory with long names.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

use tokensmith_oauth2::ClientId;
use tokensmith_store::{Timestamp, UserId};

use super::{Limited, Quota, RateLimiter};
use crate::config;

/// Failed sign-ins of one address for one name: 10 at once, then one every two seconds.
const OF_PAIR: Quota = Quota {
    burst: 10,
    refill: Duration::from_secs(2),
};
/// Failed sign-ins of one address, whatever the names: 100 at once, then one a second.
const OF_ADDRESS: Quota = Quota {
    burst: 100,
    refill: Duration::from_secs(1),
};
/// Registrations from one address: 300 at once, then one a second.
const REGISTRATIONS: Quota = Quota {
    burst: 300,
    refill: Duration::from_secs(1),
};
/// Unknown e-mail addresses one user may name as a new member: 20 at once, then one every three seconds.
const UNKNOWN_ADDRESSES: Quota = Quota {
    burst: 20,
    refill: Duration::from_secs(3),
};
const KEYS: usize = 50_000;

/// Who tries to sign in, from where, as a hash.
#[derive(Clone, Copy, Debug)]
pub struct SignInAttempt {
    pair: u64,
    ip: Option<IpAddr>,
}

/// The limits of this process.
pub struct Limits {
    hasher: RandomState,
    failures_of_pair: RateLimiter<u64>,
    failures_of_address: RateLimiter<Option<IpAddr>>,
    registrations: RateLimiter<Option<IpAddr>>,
    unknown_addresses: RateLimiter<UserId>,
    machine_requests: RateLimiter<u64>,
}

impl Limits {
    /// The limits of this configuration.
    pub fn new(config: &config::RateLimit) -> Self {
        let per_minute = config.requests_per_minute;
        let machine_requests = Quota {
            burst: per_minute.get(),
            refill: Duration::from_secs(60) / per_minute.get(),
        };
        Self {
            hasher: RandomState::new(),
            failures_of_pair: RateLimiter::new(OF_PAIR, KEYS),
            failures_of_address: RateLimiter::new(OF_ADDRESS, KEYS),
            registrations: RateLimiter::new(REGISTRATIONS, KEYS),
            unknown_addresses: RateLimiter::new(UNKNOWN_ADDRESSES, KEYS),
            machine_requests: RateLimiter::new(machine_requests, KEYS),
        }
    }

    /// Counts a request to the machine-to-machine service.
    ///
    /// # Errors
    /// [`Limited`].
    pub fn count_machine_request(
        &self,
        ip: Option<IpAddr>,
        client: Option<&ClientId>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let key = self.hasher.hash_one((ip, client.map(ClientId::as_str)));
        self.machine_requests.take(&key, now)
    }

    /// Names an attempt to sign in. Upper and lower case are one name here, as they are in the store.
    pub fn sign_in(&self, ip: Option<IpAddr>, login: &str) -> SignInAttempt {
        let pair = self.hasher.hash_one((ip, login.to_ascii_lowercase()));
        SignInAttempt { pair, ip }
    }

    /// Whether an attempt may be made.
    ///
    /// # Errors
    /// [`Limited`], when too many failed.
    pub fn check_sign_in(&self, attempt: SignInAttempt, now: Timestamp) -> Result<(), Limited> {
        self.failures_of_pair.check(&attempt.pair, now)?;
        self.failures_of_address.check(&attempt.ip, now)
    }

    /// Counts a failed attempt.
    ///
    /// # Errors
    /// [`Limited`], when it was one too many.
    pub fn count_failed_sign_in(
        &self,
        attempt: SignInAttempt,
        now: Timestamp,
    ) -> Result<(), Limited> {
        self.failures_of_pair.take(&attempt.pair, now)?;
        self.failures_of_address.take(&attempt.ip, now)
    }

    /// Counts a registration.
    ///
    /// # Errors
    /// [`Limited`].
    pub fn count_registration(&self, ip: Option<IpAddr>, now: Timestamp) -> Result<(), Limited> {
        self.registrations.take(&ip, now)
    }

    /// Counts an unknown e-mail address that a user named.
    ///
    /// # Errors
    /// [`Limited`].
    pub fn count_unknown_address(&self, user: &UserId, now: Timestamp) -> Result<(), Limited> {
        self.unknown_addresses.take(user, now)
    }
}
