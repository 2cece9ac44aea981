//! The limits there are: how often callers may ask, and how often something may fail.
//!
//! Whether something failed too often is judged by what this node knows, so that what is right never waits for Redis;
//! a failure is counted with all nodes, and its answer teaches this one.

use std::{net::IpAddr, num::NonZeroU32};

use tokensmith_oauth2::ClientId;
use tokensmith_store::{Timestamp, UserId};

use super::{
    Counted, Limited, Shared,
    counter::{Counter, Decision, Of},
};
use crate::{
    app::StartError,
    config::{self, Config, NamedQuota, Quota, Rate},
};

/// Who tries to sign in, from where.
#[derive(Clone, Debug)]
pub struct SignInAttempt {
    name: String,
    ip: Option<IpAddr>,
}

/// Which client is tried, from where.
#[derive(Clone, Copy, Debug)]
pub struct ClientAttempt<'a> {
    /// The client.
    pub client: &'a ClientId,
    /// The address.
    pub ip: Option<IpAddr>,
}

/// The limits of this server.
pub struct Limits {
    shared: Option<Shared>,
    machine: Counter,
    client: Option<Counter>,
    account: Option<Counter>,
    scopes: Vec<(String, Counter)>,
    endpoints: Vec<(String, Counter)>,
    failures_of_pair: Option<Counter>,
    failures_of_pair_long: Option<Counter>,
    /// Whether a name is new among those that failed from an address.
    new_name: Option<Counter>,
    names_of_address: Option<Counter>,
    failures_of_address: Option<Counter>,
    client_failures: Option<Counter>,
    client_failures_of_address: Option<Counter>,
    workload_failures: Option<Counter>,
    registrations: Option<Counter>,
    mail_requests: Option<Counter>,
    unknown_addresses: Option<Counter>,
}

impl Limits {
    /// The limits of this configuration.
    ///
    /// # Errors
    /// When `redis_url` is not the URL of a Redis.
    pub fn new(config: &Config) -> Result<Self, StartError> {
        let limits = &config.rate_limit;
        Ok(Self {
            shared: shared(config)?,
            machine: Counter::new(
                "requests_per_minute",
                Quota::per_minute(limits.requests_per_minute),
            ),
            client: counter("client", limits.client),
            account: counter("account", limits.account),
            scopes: named("scope", &limits.scopes),
            endpoints: named("endpoint", &limits.endpoints),
            failures_of_pair: counter("sign_in_failures", limits.sign_in_failures),
            failures_of_pair_long: counter("sign_in_failures_long", limits.sign_in_failures_long),
            new_name: new_name(limits.sign_in_names_per_address),
            names_of_address: counter(
                "sign_in_names_per_address",
                limits.sign_in_names_per_address,
            ),
            failures_of_address: counter(
                "sign_in_failures_per_address",
                limits.sign_in_failures_per_address,
            ),
            client_failures: counter("client_failures", limits.client_failures),
            client_failures_of_address: counter(
                "client_failures_per_address",
                limits.client_failures_per_address,
            ),
            workload_failures: counter("workload_failures", limits.workload_failures),
            registrations: counter("registrations", limits.registrations),
            mail_requests: counter("mail_requests", limits.mail_requests),
            unknown_addresses: counter("unknown_addresses", limits.unknown_addresses),
        })
    }

    /// Whether the memory that nodes share answers; `None` where there is none.
    pub async fn shared_answers(&self) -> Option<bool> {
        match &self.shared {
            Some(shared) => Some(shared.answers().await),
            None => None,
        }
    }

    /// Names an attempt to sign in. Upper and lower case are one name here, as they are in the store.
    pub fn sign_in(&self, ip: Option<IpAddr>, login: &str) -> SignInAttempt {
        let name = login.to_ascii_lowercase();
        SignInAttempt { name, ip }
    }

    /// Whether an attempt may be made.
    ///
    /// # Errors
    /// [`Limited`], when too many failed.
    pub fn check_sign_in(&self, attempt: &SignInAttempt, now: Timestamp) -> Result<(), Limited> {
        check(self.failures_of_pair.as_ref(), attempt.pair(), now)?;
        check(self.failures_of_pair_long.as_ref(), attempt.pair(), now)?;
        check(self.names_of_address.as_ref(), address(attempt.ip), now)?;
        check(self.failures_of_address.as_ref(), address(attempt.ip), now)
    }

    /// Counts a failed attempt.
    ///
    /// # Errors
    /// [`Limited`], when it was one too many.
    pub async fn count_failed_sign_in(
        &self,
        attempt: &SignInAttempt,
        now: Timestamp,
    ) -> Result<(), Limited> {
        self.take(self.failures_of_pair.as_ref(), attempt.pair(), now)
            .await?;
        self.take(self.failures_of_pair_long.as_ref(), attempt.pair(), now)
            .await?;
        self.take(self.failures_of_address.as_ref(), address(attempt.ip), now)
            .await
    }

    /// Counts the name of a failed attempt, once in the time of the limit. Says whether the address has now failed with
    /// as many names as it may: so does who tries passwords that leaked elsewhere.
    pub async fn count_failed_name(&self, attempt: &SignInAttempt, now: Timestamp) -> bool {
        let (new_name, names) = (self.new_name.as_ref(), self.names_of_address.as_ref());
        if self.take(new_name, attempt.pair(), now).await.is_err() {
            return false;
        }
        let of = address(attempt.ip);
        self.take(names, of, now).await.is_err() || check(names, of, now).is_err()
    }

    /// Whether a client may be tried.
    ///
    /// # Errors
    /// [`Limited`], when too many secrets were wrong.
    pub fn check_client(&self, attempt: ClientAttempt<'_>, now: Timestamp) -> Result<(), Limited> {
        check(self.client_failures.as_ref(), attempt.pair(), now)?;
        let of_address = self.client_failures_of_address.as_ref();
        check(of_address, address(attempt.ip), now)
    }

    /// Counts a wrong secret.
    ///
    /// # Errors
    /// [`Limited`], when it was one too many.
    pub async fn count_failed_client(
        &self,
        attempt: ClientAttempt<'_>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        self.take(self.client_failures.as_ref(), attempt.pair(), now)
            .await?;
        let of_address = self.client_failures_of_address.as_ref();
        self.take(of_address, address(attempt.ip), now).await
    }

    /// Whether an assertion of a workload may be tried from this address.
    ///
    /// # Errors
    /// [`Limited`], when too many were refused.
    pub fn check_workload(&self, ip: Option<IpAddr>, now: Timestamp) -> Result<(), Limited> {
        check(self.workload_failures.as_ref(), address(ip), now)
    }

    /// Counts a refused assertion of a workload: it names no client before it is verified.
    ///
    /// # Errors
    /// [`Limited`], when it was one too many.
    pub async fn count_failed_workload(
        &self,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        self.take(self.workload_failures.as_ref(), address(ip), now)
            .await
    }

    /// Counts a registration.
    ///
    /// # Errors
    /// [`Limited`].
    pub async fn count_registration(
        &self,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        self.take(self.registrations.as_ref(), address(ip), now)
            .await
    }

    /// Counts a mail that was asked for by address.
    ///
    /// # Errors
    /// [`Limited`].
    pub async fn count_mail(&self, ip: Option<IpAddr>, now: Timestamp) -> Result<(), Limited> {
        self.take(self.mail_requests.as_ref(), address(ip), now)
            .await
    }

    /// Counts an unknown e-mail address that a user named.
    ///
    /// # Errors
    /// [`Limited`].
    pub async fn count_unknown_address(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let of = Of {
            ip: None,
            name: user.as_str(),
        };
        self.take(self.unknown_addresses.as_ref(), of, now).await
    }

    /// Whether requests beyond the older machine-to-machine paths are counted.
    pub fn count_requests(&self) -> bool {
        let named = !self.scopes.is_empty() || !self.endpoints.is_empty();
        self.client.is_some() || self.account.is_some() || named
    }

    /// Counts a request; `None` where there is no such limit.
    pub(super) async fn request(
        &self,
        counted: Counted<'_>,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Decision> {
        let of_named = |all: &'_ [(String, Counter)], wanted: &str| {
            all.iter().position(|(name, _)| name == wanted)
        };
        let (counter, name, ip) = match counted {
            Counted::Machine(client) => (&self.machine, client.map_or("", ClientId::as_str), ip),
            Counted::Client(client) => (self.client.as_ref()?, client.as_str(), ip),
            Counted::Account(user) => (self.account.as_ref()?, user.as_str(), None),
            Counted::Scope { scope, actor } => {
                let at = of_named(&self.scopes, scope)?;
                (&self.scopes[at].1, actor, None)
            }
            Counted::Endpoint(path) => {
                let at = of_named(&self.endpoints, path)?;
                (&self.endpoints[at].1, "", ip)
            }
        };
        Some(
            counter
                .take(self.shared.as_ref(), Of { ip, name }, now)
                .await,
        )
    }

    async fn take(
        &self,
        counter: Option<&Counter>,
        of: Of<'_>,
        now: Timestamp,
    ) -> Result<(), Limited> {
        let Some(counter) = counter else {
            return Ok(());
        };
        let decision = counter.take(self.shared.as_ref(), of, now).await;
        decision.limited.map_or(Ok(()), Err)
    }
}

impl SignInAttempt {
    fn pair(&self) -> Of<'_> {
        Of {
            ip: self.ip,
            name: &self.name,
        }
    }
}

impl<'a> ClientAttempt<'a> {
    fn pair(self) -> Of<'a> {
        Of {
            ip: self.ip,
            name: self.client.as_str(),
        }
    }
}

fn address(ip: Option<IpAddr>) -> Of<'static> {
    Of { ip, name: "" }
}

fn check(counter: Option<&Counter>, of: Of<'_>, now: Timestamp) -> Result<(), Limited> {
    counter.map_or(Ok(()), |counter| counter.check(of, now))
}

fn counter(name: &str, rate: Rate) -> Option<Counter> {
    rate.0.map(|quota| Counter::new(name, quota))
}

/// One event of a name in the time of the rate.
fn new_name(rate: Rate) -> Option<Counter> {
    let once = Quota::new(NonZeroU32::MIN, rate.0?.per())?;
    Some(Counter::new("sign_in_new_name", once))
}

fn named(kind: &str, quotas: &[config::NamedQuota]) -> Vec<(String, Counter)> {
    let counter = |NamedQuota { name, quota }: &NamedQuota| {
        (name.clone(), Counter::new(format!("{kind}:{name}"), *quota))
    };
    quotas.iter().map(counter).collect()
}

fn shared(config: &Config) -> Result<Option<Shared>, StartError> {
    let (Some(url), Some(master)) = (&config.redis_url, &config.master_key) else {
        return Ok(None);
    };
    // The reason may quote the URL, and a URL may hold a password.
    Shared::new(url.expose(), master, config.rate_limit.redis_timeout)
        .map(Some)
        .map_err(|_| {
            StartError::Declared(
                "`redis_url` must be a URL such as \"redis://HOST:6379\" or \"rediss://HOST:6379\""
                    .to_owned(),
            )
        })
}
