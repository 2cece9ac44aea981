//! An instant as the store keeps it: whole milliseconds since 1970-01-01T00:00:00Z.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since the Unix epoch, UTC. Never read from a clock here: a request happens at one instant, and
/// that instant is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// An instant from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// An instant from whole seconds since the Unix epoch (RFC 7519 NumericDate).
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down (RFC 7519 NumericDate).
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// Reads RFC 3339, for instance `2026-11-20T18:12:00Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000)
            .ok()
            .map(Self)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::schema_of::text("date-time").into()
    }
}

impl utoipa::ToSchema for Timestamp {}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds; an instant outside its years as a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let Ok(instant) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else {
            return write!(f, "{}ms", self.0);
        };
        let year = u32::try_from(instant.year());
        let Some(year) = year.ok().filter(|year| *year <= 9999) else {
            return write!(f, "{}ms", self.0);
        };
        let (hour, minute, second) = instant.time().as_hms();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], u8::from(instant.month()).into());
        digits(&mut text[8..10], instant.day().into());
        digits(&mut text[11..13], hour.into());
        digits(&mut text[14..16], minute.into());
        digits(&mut text[17..19], second.into());
        digits(&mut text[20..23], instant.millisecond().into());
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes a number right-aligned over zeros. Every audit line has a time, and the formatting machinery takes ten times
/// as long for it.
fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_and_reads_as_rfc_3339() {
        let instant = Timestamp::from_millis(1_795_000_000_123);
        assert_eq!(instant.to_string(), "2026-11-18T11:06:40.123Z");
        assert_eq!(Timestamp::parse(&instant.to_string()), Some(instant));
    }

    #[test]
    fn every_place_of_a_time_is_padded_and_odd_years_are_numbers() {
        let text = |millis| Timestamp::from_millis(millis).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_009), "1970-01-01T00:00:01.009Z");
        assert_eq!(text(-62_135_596_800_000), "0001-01-01T00:00:00.000Z");
        assert_eq!(text(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert_eq!(text(-99_999_999_999_999), "-99999999999999ms");
        assert_eq!(text(i64::MAX), format!("{}ms", i64::MAX));
    }

    #[test]
    fn time_never_runs_backwards_in_a_span() {
        let earlier = Timestamp::from_seconds(10);
        assert_eq!(
            earlier.since(earlier + Duration::from_secs(5)),
            Duration::ZERO
        );
    }
}
