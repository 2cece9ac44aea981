//! Resource indicators (RFC 8707 §2): absolute URIs without a fragment, compared by code points.
//! It refuses anything a lenient URL parser would repair: spaces, backslashes, userinfo, other schemes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

const MAX_LENGTH: usize = 2048;

/// Why a text is not a resource indicator. All of them are `invalid_target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// Not an absolute URI.
    #[error("the resource is not an absolute URI")]
    NotAbsolute,
    /// A fragment is present.
    #[error("the resource may not have a fragment")]
    Fragment,
    /// Only http, https and urn are known.
    #[error("the resource must use http, https or urn")]
    Scheme,
    /// A character that a URI may not contain, or userinfo.
    #[error("the resource contains a part that is not allowed")]
    Part,
    /// Longer than 2048 characters.
    #[error("the resource is too long")]
    TooLong,
}

/// The identifier of a protected resource, also used as audience.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceIndicator(Box<str>);

impl ResourceIndicator {
    /// Checks a text; it is kept as it was written.
    ///
    /// # Errors
    /// [`ResourceError`].
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        if text.len() > MAX_LENGTH {
            return Err(ResourceError::TooLong);
        }
        if text.contains('#') {
            return Err(ResourceError::Fragment);
        }
        if !is_uri_text(text) {
            return Err(ResourceError::Part);
        }
        check_parts(
            text,
            &Url::parse(text).map_err(|_| ResourceError::NotAbsolute)?,
        )?;
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_parts(text: &str, url: &Url) -> Result<(), ResourceError> {
    match url.scheme() {
        "http" | "https" if !text[url.scheme().len()..].starts_with("://") => {
            Err(ResourceError::NotAbsolute)
        }
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            Err(ResourceError::Part)
        }
        "http" | "https" => Ok(()),
        "urn"
            if url
                .path()
                .split_once(':')
                .is_some_and(|(nid, nss)| !nid.is_empty() && !nss.is_empty()) =>
        {
            Ok(())
        }
        "urn" => Err(ResourceError::NotAbsolute),
        _ => Err(ResourceError::Scheme),
    }
}

/// True when every character is one that RFC 3986 §2 allows and every `%` has its digits.
pub(crate) fn is_uri_text(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let is_escape =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    text.bytes().all(is_allowed) && text.split('%').skip(1).all(is_escape)
}

impl FromStr for ResourceIndicator {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ResourceIndicator {
    type Error = ResourceError;

    fn try_from(text: String) -> Result<Self, ResourceError> {
        Self::parse(&text)
    }
}

impl From<ResourceIndicator> for String {
    fn from(resource: ResourceIndicator) -> Self {
        resource.0.into()
    }
}

impl AsRef<str> for ResourceIndicator {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceIndicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourceIndicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceIndicator({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn absolute_uris_are_accepted_as_written() {
        for text in [
            "https://api.activity.com",
            "https://api.activity.com/",
            "http://127.0.0.1:8001/x?y=1",
            "urn:example:chat",
        ] {
            assert_eq!(ResourceIndicator::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn comparison_is_by_code_points() {
        let parse = |text| ResourceIndicator::parse(text).unwrap();
        assert_ne!(
            parse("https://api.activity.com"),
            parse("https://api.activity.com/")
        );
        assert_ne!(
            parse("https://api.activity.com"),
            parse("https://API.activity.com")
        );
        assert_ne!(parse("https://a.test/%7e"), parse("https://a.test/~"));
    }

    #[test]
    fn what_is_not_an_absolute_uri_is_refused() {
        use ResourceError::{Fragment, NotAbsolute, Part, Scheme};
        let cases = [
            ("", NotAbsolute),
            ("/chat", NotAbsolute),
            ("chat", NotAbsolute),
            ("https:chat", NotAbsolute),
            ("https:/a.test", NotAbsolute),
            ("https://", NotAbsolute),
            ("urn:", NotAbsolute),
            ("urn:x", NotAbsolute),
            ("https://a.test#", Fragment),
            ("https://a.test/#f", Fragment),
            ("https://u:p@a.test", Part),
            ("https://a.test/ b", Part),
            ("https://a.test\\b", Part),
            ("https://a.test/\0", Part),
            ("https://a.test/%zz", Part),
            ("https://a.test/%4", Part),
            ("https://ä.test", Part),
            (" https://a.test", Part),
            ("https://a.te\tst", Part),
            ("ftp://a.test", Scheme),
            ("javascript:1", Scheme),
        ];
        for (text, error) in cases {
            assert_eq!(ResourceIndicator::parse(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in "(https?://|urn:)?\\PC{0,60}") {
            if let Ok(resource) = ResourceIndicator::parse(&text) {
                prop_assert_eq!(resource.as_str(), text);
            }
        }
    }
}
