//! Rates as people write them: so many in so much time, such as `60/1m`, or `off`.
//! Refuses a rate finer than one in a microsecond, which the counters could not tell from none.

use std::num::NonZeroU32;
use std::time::Duration;

use figment::value::Value;

use super::duration;
use super::value::{Setting, must_be, quoted, text};

/// So many in so much time: all of them at once, or spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    count: NonZeroU32,
    per: Duration,
}

impl Quota {
    /// Longer than any limit makes sense for; it keeps the counters' numbers exact.
    const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

    /// A quota; `None` when the time is too long, or too short for so many.
    pub fn new(count: NonZeroU32, per: Duration) -> Option<Self> {
        let quota = Self { count, per };
        let is_slow_enough = per.as_micros() >= u128::from(count.get());
        (per <= Self::LONGEST && is_slow_enough).then_some(quota)
    }

    /// So many a minute.
    pub const fn per_minute(count: NonZeroU32) -> Self {
        let per = Duration::from_secs(60);
        Self { count, per }
    }

    /// How many.
    pub fn count(self) -> u32 {
        self.count.get()
    }

    /// In how much time.
    pub fn per(self) -> Duration {
        self.per
    }

    /// After how many microseconds one more is allowed: one at least, so that a very large rate stays a rate.
    pub fn refill_micros(self) -> i64 {
        let per = i64::try_from(self.per.as_micros()).unwrap_or(i64::MAX);
        (per / i64::from(self.count.get())).max(1)
    }

    fn parse(text: &str) -> Option<Self> {
        let (count, per) = text.split_once('/')?;
        Self::new(count.trim().parse().ok()?, duration::parse(per.trim())?)
    }
}

impl std::fmt::Display for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.count, duration::format(self.per))
    }
}

/// A quota, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Option<Quota>);

impl Setting for Rate {
    const FORM: &'static str = "a rate such as \"60/1m\", or \"off\"";

    fn read(value: &Value) -> Result<Self, String> {
        match text(value).as_deref().map(str::trim) {
            Some("off") => Ok(Self(None)),
            Some(text) => Quota::parse(text)
                .map(|quota| Self(Some(quota)))
                .ok_or_else(|| must_be(Self::FORM)),
            None => Err(must_be(Self::FORM)),
        }
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| "\"off\"".to_owned(), quoted)
    }
}

/// A quota for what has this name: a scope, or the path of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedQuota {
    /// The name, printable ASCII without quotes.
    pub name: String,
    /// Its quota.
    pub quota: Quota,
}

impl Setting for NamedQuota {
    const FORM: &'static str = "a name and a rate such as \"groups:read=600/1m\"";

    fn read(value: &Value) -> Result<Self, String> {
        let read = || {
            let text = text(value)?;
            let (name, quota) = text.rsplit_once('=')?;
            let (name, quota) = (name.trim().to_owned(), Quota::parse(quota.trim())?);
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
            let is_name = !name.is_empty() && name.bytes().all(is_plain);
            is_name.then_some(Self { name, quota })
        };
        read().ok_or_else(|| must_be(Self::FORM))
    }

    fn show(&self) -> String {
        quoted(format_args!("{}={}", self.name, self.quota))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<T: Setting>(text: &str) -> Result<T, String> {
        T::read(&Value::from(text))
    }

    #[test]
    fn a_rate_is_a_number_in_a_time_or_off() {
        assert_eq!(read::<Rate>("off"), Ok(Rate(None)));
        assert_eq!(
            read::<Rate>("60/1m"),
            Ok(Rate(Some(Quota::per_minute(60.try_into().unwrap()))))
        );
        for bad in [
            "", "60", "60/", "/1m", "0/1m", "60/m", "-1/1m", "1/32d", "2000/1ms", "60/0s",
        ] {
            assert!(read::<Rate>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_named_rate_ends_with_its_rate() {
        let read = read::<Vec<NamedQuota>>("groups:read=600/1m, /api/auth/groups/{group_id}=5/1s");
        let read = read.unwrap();
        assert_eq!(read[1].name, "/api/auth/groups/{group_id}");
        assert_eq!(read[0].quota.refill_micros(), 100_000);
        for bad in ["groups:read", "=1/1m", "a\"b=1/1m", "a b=1/1m", "a=off"] {
            assert!(super::tests::read::<NamedQuota>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_rate_reads_back_as_it_was_shown(count in 1u32..1_000_000, seconds in 1u64..86_400) {
            let quota = Quota::new(count.try_into().unwrap(), Duration::from_secs(seconds));
            let rate = Rate(quota);
            prop_assert_eq!(read::<Rate>(rate.show().trim_matches('"')), Ok(rate));
        }

        #[test]
        fn no_text_makes_a_rate_panic(text in "\\PC{0,24}") {
            let _ = (read::<Rate>(&text), read::<NamedQuota>(&text));
        }
    }

    #[test]
    fn a_rate_beyond_one_a_microsecond_is_one_a_microsecond() {
        let rate = Quota::per_minute(4_000_000_000.try_into().unwrap());
        assert_eq!(rate.refill_micros(), 1);
    }
}
