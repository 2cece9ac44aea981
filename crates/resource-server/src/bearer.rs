//! Where a token may stand: one `Authorization` header, as `Bearer` (RFC 6750 section 2.1) or `DPoP` (RFC 9449 section 7.1).
//! Refuses the query parameter and the form field of sections 2.2 and 2.3, and more than one header.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use url::form_urlencoded;

use crate::refusal::Cause;

const ONE_HEADER: &str = "the request has more than one Authorization header";
const NOT_IN_QUERY: &str = "an access token belongs in the Authorization header, not in the query";
pub(crate) const NOT_IN_FORM: &str =
    "an access token belongs in the Authorization header, not in the body";

/// A token and the scheme in which it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) token: &'a str,
    pub(crate) by_dpop: bool,
}

impl<'a> Shown<'a> {
    pub(crate) fn as_bearer(token: &'a str) -> Self {
        Self {
            token,
            by_dpop: false,
        }
    }
}

/// The token of a request; `None` when it has none or authenticates by another scheme.
pub(crate) fn token<'a>(headers: &'a HeaderMap, uri: &Uri) -> Result<Option<Shown<'a>>, Cause> {
    if uri
        .query()
        .is_some_and(|query| names_token(query.as_bytes()))
    {
        return Err(Cause::Misplaced(NOT_IN_QUERY));
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Cause::Misplaced(ONE_HEADER));
    }
    // A header outside ASCII is no other scheme but a bad token, so that an optional caller is not let in without it.
    let nothing = Some(Shown::as_bearer(""));
    Ok(value.to_str().map_or(nothing, credentials))
}

/// What follows the scheme `Bearer` or `DPoP`, whose names have no case (RFC 9110 section 11.1).
fn credentials(value: &str) -> Option<Shown<'_>> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let by_dpop = scheme.eq_ignore_ascii_case("dpop");
    let is_ours = by_dpop || scheme.eq_ignore_ascii_case("bearer");
    is_ours.then(|| Shown {
        token: token.trim_start_matches(' '),
        by_dpop,
    })
}

/// Whether a query or form holds the parameter `access_token`, however it is escaped.
pub(crate) fn names_token(encoded: &[u8]) -> bool {
    form_urlencoded::parse(encoded).any(|(name, _)| name == "access_token")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str], uri: &str) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let uri: Uri = uri.parse().unwrap();
        match token(&headers, &uri) {
            Ok(shown) => Ok(shown.map(|shown| shown.token.to_owned())),
            Err(Cause::Misplaced(_)) => Err(400),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_bearer_header_in_any_case_is_read() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(read(&[value], "/"), Ok(Some("abc".into())));
        }
        assert_eq!(read(&["Bearer"], "/"), Ok(Some(String::new())));
    }

    #[test]
    fn the_scheme_of_bound_tokens_is_told_apart_in_any_case() {
        for (value, by_dpop) in [
            ("DPoP abc", true),
            ("dpop abc", true),
            ("Bearer abc", false),
        ] {
            let token = "abc";
            assert_eq!(credentials(value), Some(Shown { token, by_dpop }));
        }
    }

    #[test]
    fn other_schemes_are_no_token() {
        for value in ["Basic abc", "Bearerabc", "abc", "", " Bearer abc"] {
            assert_eq!(read(&[value], "/"), Ok(None), "{value:?}");
        }
        assert_eq!(read(&[], "/?a=access_token"), Ok(None));
    }

    #[test]
    fn a_header_outside_ascii_is_a_bad_token_and_not_an_absent_one() {
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_bytes(b"Bearer \xff").unwrap(),
        );
        assert!(matches!(
            token(&headers, &Uri::from_static("/")),
            Ok(Some(Shown { token: "", .. }))
        ));
    }

    #[test]
    fn a_second_header_or_a_token_in_the_query_is_refused() {
        assert_eq!(read(&["Bearer abc", "Bearer abc"], "/"), Err(400));
        assert_eq!(read(&["Basic abc", "Bearer abc"], "/"), Err(400));
        for query in [
            "access_token=abc",
            "a=b&access_token",
            "access%5Ftoken=abc",
            "%61ccess_token=a",
        ] {
            assert_eq!(read(&[], &format!("/?{query}")), Err(400), "{query}");
            assert_eq!(
                read(&["Bearer abc"], &format!("/?{query}")),
                Err(400),
                "{query}"
            );
        }
    }
}
