//! An access token as it is sent: a header value that no log shows (RFC 6750 §2.1), and the key it is bound to if it
//! is bound (RFC 9449 §7.1).

use std::fmt;

use http::HeaderValue;

use crate::DpopKey;

const BEARER: &str = "Bearer ";
const DPOP: &str = "DPoP ";
const MAX_LENGTH: usize = 16 * 1024;

/// An access token. Cloning is cheap; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    header_value: HeaderValue,
    key: Option<DpopKey>,
}

impl AccessToken {
    /// Takes a bearer token over; `None` unless it is 1 to 16384 visible ASCII characters (RFC 6749 appendix A.12).
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        Self::in_scheme(BEARER, token, None)
    }

    /// Takes a token over that is bound to this key; `None` as for [`AccessToken::new`].
    #[must_use]
    pub fn bound(token: &str, key: DpopKey) -> Option<Self> {
        Self::in_scheme(DPOP, token, Some(key))
    }

    fn in_scheme(scheme: &str, token: &str, key: Option<DpopKey>) -> Option<Self> {
        if !(1..=MAX_LENGTH).contains(&token.len())
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return None;
        }
        let mut header_value = HeaderValue::try_from(format!("{scheme}{token}")).ok()?;
        header_value.set_sensitive(true);
        Some(Self { header_value, key })
    }

    /// The value for an `Authorization` header, marked as sensitive. That of a bound token is of use with a proof only.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        self.header_value.clone()
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        let value = self.header_value.to_str().unwrap_or_default();
        value.split_once(' ').map_or("", |(_, token)| token)
    }

    /// The key it is bound to.
    pub(crate) fn key(&self) -> Option<&DpopKey> {
        self.key.as_ref()
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
    fn a_bound_token_is_sent_in_its_scheme() {
        let token = AccessToken::bound("abc", DpopKey::generate().unwrap()).unwrap();
        assert_eq!(token.header_value(), "DPoP abc");
        assert_eq!(token.expose(), "abc");
        assert_ne!(Some(token), AccessToken::new("abc"));
    }

    #[test]
    fn a_token_that_could_break_the_header_is_refused() {
        for text in ["", "a b", "a\r\nb", "a\0", "é", &"a".repeat(MAX_LENGTH + 1)] {
            assert!(AccessToken::new(text).is_none(), "{text:?}");
        }
    }
}
