//! The claims of an assertion, read strictly (RFC 7519 §4.1, RFC 7523 §3): a claim that is there has its type.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use tokensmith_store::Timestamp;

use super::{AssertionError, CLOCK_SKEW, Expected};

/// What every assertion says.
#[derive(Debug, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// Who it is about.
    pub sub: String,
    aud: Audience,
    exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
}

/// Whose keys an assertion asks to be verified with. Nothing of it is verified.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// Who says that it was made by them.
    pub iss: String,
    /// Who it is said to be about.
    pub sub: String,
}

impl Claims {
    /// Judges audience and times.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), AssertionError> {
        if !self.aud.is_solely(expected.audience) {
            return Err(AssertionError::Audience);
        }
        let (now, exp) = (expected.now, self.exp.0);
        if self.over_at() <= now {
            return Err(AssertionError::Expired);
        }
        let is_ahead = |date: &Option<NumericDate>| {
            date.as_ref().is_some_and(|date| date.0 > now + CLOCK_SKEW)
        };
        if is_ahead(&self.iat) || is_ahead(&self.nbf) {
            return Err(AssertionError::Early);
        }
        let began = self.iat.as_ref().map_or(now, |iat| iat.0);
        if exp <= began && self.iat.is_some()
            || exp > began.min(now) + expected.longest + CLOCK_SKEW
        {
            return Err(AssertionError::Life);
        }
        Ok(())
    }

    /// The identifier, which may be used once.
    ///
    /// # Errors
    /// [`AssertionError::NoJti`].
    pub fn jti(&self) -> Result<&str, AssertionError> {
        let jti = self.jti.as_deref().filter(|jti| !jti.is_empty());
        jti.ok_or(AssertionError::NoJti)
    }

    /// The first instant at which it is refused for its age.
    pub fn over_at(&self) -> Timestamp {
        self.exp.0 + CLOCK_SKEW
    }
}

/// A claim that may be absent, and is not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// One string, or an array of one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Listed([String; 1]),
    /// Any other string array: read, so that the refusal can say what is wrong.
    Several(#[expect(dead_code, reason = "it matches nothing")] Vec<String>),
}

impl Audience {
    fn is_solely(&self, audience: &str) -> bool {
        match self {
            Self::One(one) | Self::Listed([one]) => one == audience,
            Self::Several(_) => false,
        }
    }
}

/// Seconds since the Unix epoch (RFC 7519 §2), from 0 to the year 9999; a fraction is cut off.
#[derive(Debug)]
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const LAST: f64 = 253_402_300_799.0;
        let number = serde_json::Number::deserialize(deserializer)?;
        let seconds = number
            .as_f64()
            .filter(|seconds| (0.0..=LAST).contains(seconds));
        let seconds = seconds.ok_or_else(|| de::Error::custom("not a date"))?;
        // Exact: every whole number of this range is one of an f64.
        Ok(Self(
            Timestamp::from_millis(0) + Duration::from_secs(seconds as u64),
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const EXPECTED: Expected<'static> = Expected {
        audience: "https://as.test",
        longest: Duration::from_secs(300),
        now: Timestamp::from_seconds(NOW),
    };

    fn claims() -> Value {
        json!({"iss": "C2", "sub": "C2", "aud": "https://as.test", "exp": NOW + 60, "iat": NOW, "jti": "one"})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn check(claims: Value) -> Option<Result<(), AssertionError>> {
        let claims: Claims = serde_json::from_value(claims).ok()?;
        Some(
            claims
                .check(&EXPECTED)
                .and_then(|()| claims.jti().map(drop)),
        )
    }

    #[test]
    fn the_audience_is_this_issuer_alone() {
        assert_eq!(check(claims()), Some(Ok(())));
        assert_eq!(check(with("aud", json!(["https://as.test"]))), Some(Ok(())));
        for aud in [
            json!("https://as.test/"),
            json!("https://AS.test"),
            json!("https://as.test/oauth/token"),
            json!(["https://as.test", "https://as.test"]),
            json!(["https://as.test", "https://evil.test"]),
            json!([]),
            json!(""),
        ] {
            assert_eq!(
                check(with("aud", aud.clone())),
                Some(Err(AssertionError::Audience)),
                "{aud}"
            );
        }
        for aud in [json!(null), json!(7), json!([7]), json!({})] {
            assert_eq!(check(with("aud", aud)), None);
        }
    }

    #[test]
    fn a_life_has_an_end_that_is_near() {
        let exp = |exp: i64| check(with("exp", json!(exp)));
        let (ok, expired, long) = (Some(Ok(())), AssertionError::Expired, AssertionError::Life);
        assert_eq!(exp(NOW + 300), ok);
        assert_eq!(exp(NOW + 330), ok, "their clock may be off");
        assert_eq!(exp(NOW + 331), Some(Err(long)));
        assert_eq!(exp(NOW + 86_400), Some(Err(long)));
        assert_eq!(exp(NOW - 30), Some(Err(expired)));
        assert_eq!(exp(0), Some(Err(expired)));
        assert_eq!(exp(NOW - 29), Some(Err(long)), "it ends before it was made");
        let old = |iat: i64, exp: i64| {
            let mut claims = with("iat", json!(iat));
            claims["exp"] = json!(exp);
            check(claims)
        };
        assert_eq!(old(NOW - 299, NOW + 1), ok);
        assert_eq!(old(NOW - 40, NOW - 29), ok);
        assert_eq!(old(NOW - 86_400, NOW + 60), Some(Err(long)));
        assert_eq!(old(NOW + 31, NOW + 60), Some(Err(AssertionError::Early)));
        assert_eq!(
            check(with("nbf", json!(NOW + 31))),
            Some(Err(AssertionError::Early))
        );
        let mut without_iat = claims();
        without_iat.as_object_mut().unwrap().remove("iat");
        assert_eq!(check(without_iat.clone()), ok);
        without_iat["exp"] = json!(NOW + 331);
        assert_eq!(check(without_iat), Some(Err(long)));
    }

    #[test]
    fn a_date_is_a_number_and_nothing_else() {
        assert_eq!(check(with("exp", json!(NOW as f64 + 60.5))), Some(Ok(())));
        for date in [
            json!("9999999999"),
            json!(null),
            json!(-1),
            json!(1e300),
            json!([NOW]),
            json!(true),
        ] {
            for name in ["exp", "iat", "nbf"] {
                assert_eq!(check(with(name, date.clone())), None, "{name}: {date}");
            }
        }
        let mut without = claims();
        without.as_object_mut().unwrap().remove("exp");
        assert_eq!(check(without), None);
    }

    #[test]
    fn an_identifier_is_a_text_that_says_something() {
        for jti in [json!(null), json!(7), json!(["one"])] {
            assert_eq!(check(with("jti", jti)), None);
        }
        assert_eq!(
            check(with("jti", json!(""))),
            Some(Err(AssertionError::NoJti))
        );
        let mut without = claims();
        without.as_object_mut().unwrap().remove("jti");
        assert_eq!(check(without), Some(Err(AssertionError::NoJti)));
    }
}
