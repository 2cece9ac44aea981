//! An access token as it is sent: a bearer header value that no log shows (RFC 6750 §2.1).

use std::fmt;

use http::HeaderValue;

const SCHEME: &str = "Bearer ";
const MAX_LENGTH: usize = 16 * 1024;

/// An access token. Cloning is cheap; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(HeaderValue);

impl AccessToken {
    /// Takes a token over; `None` unless it is 1 to 16384 visible ASCII characters (RFC 6749 appendix A.12).
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        if !(1..=MAX_LENGTH).contains(&token.len())
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return None;
        }
        let mut value = HeaderValue::try_from(format!("{SCHEME}{token}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// The value for an `Authorization` header, marked as sensitive.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0
            .to_str()
            .ok()
            .and_then(|value| value.strip_prefix(SCHEME))
            .unwrap_or_default()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_as_bearer_and_never_printed() {
        let token = AccessToken::new("abc.def").unwrap();
        assert_eq!(token.header_value(), "Bearer abc.def");
        assert_eq!(token.expose(), "abc.def");
        assert!(token.header_value().is_sensitive());
        assert!(!format!("{token:?} {:?}", token.header_value()).contains("abc"));
    }

    #[test]
    fn a_token_that_could_break_the_header_is_refused() {
        for text in ["", "a b", "a\r\nb", "a\0", "é", &"a".repeat(MAX_LENGTH + 1)] {
            assert!(AccessToken::new(text).is_none(), "{text:?}");
        }
    }
}
