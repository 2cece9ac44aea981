//! Redirect URIs (RFC 9700 §2.1, RFC 8252 §7): what may be registered and when a requested one matches.
//! A match is equality of code points; the one exception is the port of a loopback IP address.
//! It refuses wildcards, fragments, userinfo, script schemes, plain http elsewhere, and any spelling
//! that a URL parser would rewrite (upper case hosts, dot segments, default ports).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::resource::is_uri_text;

const MAX_LENGTH: usize = 2048;
const LOOPBACK_PREFIXES: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// Why a text may not be registered as redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Not an absolute URI, not in normal form, or with a character that is not allowed.
    #[error("the redirect URI is not an absolute URI in normal form")]
    Malformed,
    /// RFC 6749 §3.1.2.
    #[error("the redirect URI may not have a fragment")]
    Fragment,
    /// Wildcards are never matched, so they are not registered either.
    #[error("the redirect URI may not contain a wildcard")]
    Wildcard,
    /// `user@host` misleads people and parsers.
    #[error("the redirect URI may not contain a user name")]
    Userinfo,
    /// http to a host that is not loopback.
    #[error("the redirect URI must use https unless its host is loopback")]
    PlainHttp,
    /// A scheme that is not https, loopback http or a private-use scheme with a dot (RFC 8252 §7.1).
    #[error("the scheme of the redirect URI is not allowed")]
    Scheme,
    /// Longer than 2048 characters.
    #[error("the redirect URI is too long")]
    TooLong,
}

/// A registered redirect URI.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(Box<str>);

impl RedirectUri {
    /// Checks a text for registration; it is kept as it was written.
    ///
    /// # Errors
    /// [`RedirectUriError`].
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        check_text(text)?;
        let url = Url::parse(text).map_err(|_| RedirectUriError::Malformed)?;
        check_target(&url)?;
        if !is_normal(text, &url) {
            return Err(RedirectUriError::Malformed);
        }
        Ok(Self(text.into()))
    }

    /// True when an authorization request may use `requested` because of this registration.
    #[must_use]
    pub fn matches(&self, requested: &str) -> bool {
        *self.0 == *requested
            || without_loopback_port(&self.0)
                .is_some_and(|registered| without_loopback_port(requested) == Some(registered))
    }

    /// True for http to a loopback IP address or `localhost` (native applications and development).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// True for a private-use scheme such as `com.example.app:/callback`.
    #[must_use]
    pub fn is_private_use(&self) -> bool {
        !self.0.starts_with("https://") && !self.is_loopback()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_text(text: &str) -> Result<(), RedirectUriError> {
    match text {
        text if text.len() > MAX_LENGTH => Err(RedirectUriError::TooLong),
        text if text.contains('#') => Err(RedirectUriError::Fragment),
        text if text.contains('*') => Err(RedirectUriError::Wildcard),
        text if !is_uri_text(text) => Err(RedirectUriError::Malformed),
        _ => Ok(()),
    }
}

fn check_target(url: &Url) -> Result<(), RedirectUriError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RedirectUriError::Userinfo);
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback_host(url) => Ok(()),
        "http" => Err(RedirectUriError::PlainHttp),
        scheme if scheme.contains('.') && !url.cannot_be_a_base() => Ok(()),
        _ => Err(RedirectUriError::Scheme),
    }
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// True when a parser reads back exactly what was written; an omitted root path is allowed.
fn is_normal(text: &str, url: &Url) -> bool {
    url.as_str() == text
        || (url.path() == "/"
            && url.query().is_none()
            && url.as_str().strip_suffix('/') == Some(text))
}

/// Splits a loopback URI into its host part and what follows the port, so that only the port is ignored.
fn without_loopback_port(text: &str) -> Option<(&'static str, &str)> {
    let (prefix, rest) = LOOPBACK_PREFIXES
        .iter()
        .find_map(|prefix| Some((*prefix, text.strip_prefix(prefix)?)))?;
    let rest = match rest.strip_prefix(':') {
        Some(rest) => after_port(rest)?,
        None => rest,
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((prefix, rest))
}

fn after_port(text: &str) -> Option<&str> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (port, rest) = text.split_at(end);
    let is_port = !port.starts_with('0') && port.parse::<u16>().is_ok();
    is_port.then_some(rest)
}

impl FromStr for RedirectUri {
    type Err = RedirectUriError;

    fn from_str(text: &str) -> Result<Self, RedirectUriError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = RedirectUriError;

    fn try_from(text: String) -> Result<Self, RedirectUriError> {
        Self::parse(&text)
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0.into()
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedirectUri({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registered(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap()
    }

    #[track_caller]
    fn refuses(registration: &str, requested: &[&str]) {
        for text in requested {
            assert!(
                !registered(registration).matches(text),
                "{registration} matched {text}"
            );
        }
    }

    #[test]
    fn rows_031_032_033_another_target_or_path_does_not_match() {
        let requested = [
            "https://evil.test/cb",
            "https://c1.test/cb/../evil",
            "https://c1.test/cb/..;/evil",
            "https://c1.test/cb/%2e%2e/evil",
            "https://c1.test/cb/",
            "https://c1.test/cb%20",
            "https://c1.test@evil.test/cb",
            "",
            "https://c1.test/cb\0",
        ];
        refuses("https://c1.test/cb", &requested);
    }

    #[test]
    fn rows_035_036_041_042_only_equal_code_points_match() {
        let requested = [
            "https://c1.test/CB",
            "HTTPS://c1.test/cb",
            "https://C1.TEST/cb",
            "https://c1.test/cb?x=1",
            "https://c1.test/cb?",
            "https://c1.test/cb#f",
            "https://c1.test:8443/cb",
            "https://c1.test:443/cb",
        ];
        refuses("https://c1.test/cb", &requested);
        refuses(
            "https://c1.test/cb?a=1&b=2",
            &["https://c1.test/cb?b=2&a=1"],
        );
        refuses(
            "https://foo.c1.test/cb",
            &["https://fooac1.test/cb", "https://foo.c1.test.evil.test/cb"],
        );
        assert!(registered("https://c1.test/cb?a=1&b=2").matches("https://c1.test/cb?a=1&b=2"));
    }

    #[test]
    fn row_038_a_loopback_address_matches_on_any_port() {
        let uri = registered("http://127.0.0.1/cb");
        for text in [
            "http://127.0.0.1/cb",
            "http://127.0.0.1:49152/cb",
            "http://127.0.0.1:1/cb",
        ] {
            assert!(uri.matches(text), "{text}");
        }
        assert!(registered("http://[::1]:8001/cb").matches("http://[::1]:9000/cb"));
        let requested = [
            "http://127.0.0.1:49152/other",
            "https://127.0.0.1:49152/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:80@evil/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.1:80.evil.test/cb",
        ];
        refuses("http://127.0.0.1/cb", &requested);
    }

    #[test]
    fn row_039_loopback_names_are_not_interchangeable() {
        refuses(
            "http://127.0.0.1/cb",
            &[
                "http://localhost:49152/cb",
                "http://[::1]:49152/cb",
                "http://127.0.0.2/cb",
            ],
        );
        refuses(
            "http://localhost:8001/cb",
            &["http://localhost:8002/cb", "http://127.0.0.1:8001/cb"],
        );
    }

    #[test]
    fn row_043_dangerous_uris_are_not_registered() {
        use RedirectUriError::{Fragment, Malformed, PlainHttp, Scheme, Userinfo, Wildcard};
        let cases = [
            ("javascript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("vbscript:x", Scheme),
            ("file:///etc/passwd", Scheme),
            ("myapp:/cb", Scheme),
            ("http://web.test/cb", PlainHttp),
            ("http://127.0.0.1.evil.test/cb", PlainHttp),
            ("https://x/cb#f", Fragment),
            ("https://*.x.test/cb", Wildcard),
            ("https://a@x.test/cb", Userinfo),
            ("https://x.test/a/../b", Malformed),
            ("https://x.test/%2e%2e/b", Malformed),
            ("https://X.test/cb", Malformed),
            ("https://x.test:443/cb", Malformed),
            ("https:x.test", Malformed),
            ("/cb", Malformed),
            ("", Malformed),
            ("https://x.test/a b", Malformed),
            ("http://0x7f.1/cb", Malformed),
            ("https://x.test\\cb", Malformed),
        ];
        for (text, error) in cases {
            assert_eq!(RedirectUri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn https_loopback_and_private_use_schemes_are_registered() {
        for text in [
            "https://c1.test/cb",
            "https://c1.test",
            "http://localhost:8001/callback",
            "http://127.0.0.1/callback",
        ] {
            assert!(!registered(text).is_private_use(), "{text}");
        }
        assert!(registered("com.example.app:/cb").is_private_use());
        assert!(registered("http://[::1]:9/cb").is_loopback());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in "(https?://|[a-z.]{1,9}:/)?\\PC{0,60}") {
            if let Ok(uri) = RedirectUri::parse(&text) {
                prop_assert_eq!(uri.as_str(), &text);
                prop_assert!(uri.matches(&text));
            }
        }

        #[test]
        fn what_matches_differs_at_most_in_the_loopback_port(requested in "http://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:[0-9]{0,6})?(/cb|/|\\?x|)") {
            let uri = registered("http://127.0.0.1:7000/cb");
            if uri.matches(&requested) {
                let url = Url::parse(&requested).unwrap();
                prop_assert_eq!((url.host_str(), url.path(), url.query()), (Some("127.0.0.1"), "/cb", None));
            }
        }
    }
}
