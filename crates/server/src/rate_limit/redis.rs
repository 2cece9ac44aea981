//! Counters that all nodes share, in Redis or Valkey: one script per event, atomic, on that server's own time, by the
//! same rule as [`super::decide`].
//!
//! Keys are keyed hashes that expire with their content. A server that fails or is slow is not asked again for a
//! second; then one request tries it. Anything but an answer of the right form is no answer.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::timeout;

use super::Verdict;
use crate::config::{MasterKey, Quota};

const LABEL: &[u8] = b"tokensmith rate limit key";
/// Begins every key. The number belongs to the form of what is kept.
const PREFIX: &str = "tokensmith:limit:1:";
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// So long a server that failed is left alone.
const QUIET: Duration = Duration::from_secs(1);

/// Arguments: refill and tolerance in microseconds, and the instant where a test wants another than the server's.
const TAKE: &str = r"
local refill, tolerance, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local arrival = tonumber(redis.call('GET', KEYS[1])) or now
arrival = math.min(math.max(arrival, now), now + tolerance + refill)
local wait = arrival - now - tolerance
if wait > 0 then
  return {wait, arrival - now}
end
arrival = arrival + refill
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
return {0, arrival - now}
";

/// Counters in Redis.
pub struct Shared {
    connection: ConnectionManager,
    script: Script,
    key: hmac::Key,
    timeout: Duration,
    started: Instant,
    /// Milliseconds after `started` before which it is not asked; 0 while it answers.
    quiet_until: AtomicU64,
}

impl Shared {
    /// Counters at this URL. Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL is none of Redis.
    pub fn new(url: &str, master: &MasterKey, timeout: Duration) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        let master = hmac::Key::new(hmac::HMAC_SHA256, master.expose());
        let key = hmac::sign(&master, LABEL);
        Ok(Self {
            connection,
            script: Script::new(TAKE),
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
            timeout,
            started: Instant::now(),
            quiet_until: AtomicU64::new(0),
        })
    }

    /// Counts one event of what these words name; `None` when there was no answer in time.
    pub async fn take(&self, words: &[&[u8]], quota: Quota) -> Option<Verdict> {
        self.take_at(words, quota, None).await
    }

    /// As [`Shared::take`], at an instant of the caller's: two memories agree only if they have the same time.
    pub async fn take_at(
        &self,
        words: &[&[u8]],
        quota: Quota,
        now: Option<i64>,
    ) -> Option<Verdict> {
        if !self.may_ask() {
            return None;
        }
        let asked = timeout(self.timeout, self.ask(self.key_of(words), quota, now)).await;
        let verdict = match asked {
            Ok(Ok((wait, ahead))) => Some(Verdict { wait, ahead }),
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("no answer in time"),
        };
        if verdict.is_some() {
            self.quiet_until.store(0, Ordering::Relaxed);
        }
        verdict
    }

    /// Whether it answers now.
    pub async fn answers(&self) -> bool {
        let mut connection = self.connection.clone();
        let ping = redis::cmd("PING");
        let asked = timeout(self.timeout, ping.query_async::<String>(&mut connection)).await;
        matches!(asked, Ok(Ok(_)))
    }

    async fn ask(
        &self,
        key: String,
        quota: Quota,
        now: Option<i64>,
    ) -> Result<(i64, i64), RedisError> {
        let refill = quota.refill_micros();
        let tolerance = refill * i64::from(quota.count() - 1);
        let mut call = self.script.prepare_invoke();
        call.key(key).arg(refill).arg(tolerance);
        call.arg(now.map(|now| now.to_string()).unwrap_or_default());
        call.invoke_async(&mut self.connection.clone()).await
    }

    /// Each word with its length, so that two of them never read as one.
    fn key_of(&self, words: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for word in words {
            context.update(&(word.len() as u64).to_be_bytes());
            context.update(word);
        }
        let tag = context.sign();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&tag.as_ref()[..16]))
    }

    fn may_ask(&self) -> bool {
        let until = self.quiet_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        // One request tries, the others go on without.
        let next = self.later();
        self.now() >= until
            && self
                .quiet_until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn failed(&self, reason: &str) -> Option<Verdict> {
        metrics::counter!("tokensmith_rate_limit_redis_failures_total").increment(1);
        if self.quiet_until.swap(self.later(), Ordering::Relaxed) == 0 {
            tracing::warn!(
                reason,
                "Redis does not answer: every node counts on its own until it does"
            );
        }
        None
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn later(&self) -> u64 {
        self.now() + QUIET.as_millis() as u64
    }
}
