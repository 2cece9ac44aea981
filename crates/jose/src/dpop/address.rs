//! The comparison of `htu` with the address of a request (RFC 9449 section 4.3): without query and fragment, after
//! syntax- and scheme-based normalisation (RFC 3986 section 6.2). Refuses what is no plain http or https address.

use std::borrow::Cow;

use url::Url;

/// Whether both name the same resource.
pub(super) fn is_same(claimed: &str, expected: &str) -> bool {
    let claimed = bare(claimed);
    claimed == expected
        || matches!((normal(claimed), normal(bare(expected))), (Some(a), Some(b)) if a == b)
}

/// Without query and fragment.
pub(super) fn bare(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or(text)
}

/// Scheme and host in lower case, no default port, no dot segments, escapes only where they are needed.
fn normal(text: &str) -> Option<String> {
    // The parser forgives what RFC 3986 does not allow: white space, backslashes, missing slashes.
    let is_uri = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    let (_, rest) = text.split_once("://").filter(|_| is_uri)?;
    if rest.starts_with('/') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && !rest.split('/').next().unwrap_or(rest).contains('@');
    is_plain.then(|| {
        format!(
            "{}{}",
            url.origin().ascii_serialization(),
            unescaped(url.path())
        )
    })
}

/// Escapes in capitals, and none for characters that need none (RFC 3986 section 6.2.2.2).
fn unescaped(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let escaped = after.get(..2);
        let byte = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, escaped) {
            (Some(byte), _) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                plain.push(char::from(byte));
            }
            (_, escaped) => {
                plain.push('%');
                plain.push_str(&escaped.unwrap_or_default().to_ascii_uppercase());
            }
        }
        rest = escaped.map_or(after, |escaped| &after[escaped.len()..]);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "https://as.example/oauth/token";

    #[test]
    fn one_resource_has_many_spellings() {
        for claimed in [
            TOKEN,
            "HTTPS://AS.Example/oauth/token",
            "https://as.example:443/oauth/token",
            "https://as.example/oauth/token?a=b",
            "https://as.example/oauth/token#f",
            "https://as.example/oauth/token?",
            "https://as.example/oauth/./x/../token",
            "https://as.example/oauth/%74oken",
        ] {
            assert!(is_same(claimed, TOKEN), "{claimed}");
        }
        assert!(is_same("https://a.test", "https://a.test/"));
        assert!(is_same("http://127.0.0.1:80/x", "http://127.0.0.1/x"));
        assert!(is_same("https://a.test/%e4", "https://a.test/%E4"));
    }

    #[test]
    fn another_resource_is_another() {
        for claimed in [
            "",
            "/oauth/token",
            "//as.example/oauth/token",
            "http://as.example/oauth/token",
            "https://as.example:444/oauth/token",
            "https://as.example/oauth/token/",
            "https://as.example/OAUTH/token",
            "https://as.example/oauth%2Ftoken",
            "https://as.example.evil.test/oauth/token",
            "https://as.example@evil.test/oauth/token",
            "https://evil@as.example/oauth/token",
            "https://@as.example/oauth/token",
            "https://evil:x@as.example/oauth/token",
            "https:as.example/oauth/token",
            "https:///as.example/oauth/token",
            "https:\\\\as.example\\oauth\\token",
            " https://as.example/oauth/token",
            "https://as.example/oauth/token ",
            "https://as.example/oauth/tok\ten",
            "https://evil.test/?https://as.example/oauth/token",
            "https://evil.test/#https://as.example/oauth/token",
            "urn:as.example",
        ] {
            assert!(!is_same(claimed, TOKEN), "{claimed}");
        }
    }

    proptest! {
        #[test]
        fn comparing_never_panics(claimed in any::<String>(), path in "[%0-9A-Fa-f/.é?#@:]{0,12}") {
            is_same(&claimed, TOKEN);
            let address = format!("https://a.test/{path}");
            is_same(&address, TOKEN);
            let elsewhere = format!("https://b.test/{path}");
            prop_assert!(!is_same(&elsewhere, "https://a.test/"));
        }

        #[test]
        fn escaping_a_letter_changes_nothing(path in "[a-z]{1,8}", at in 0usize..8) {
            let at = at % path.len();
            let escaped = format!("{}%{:02x}{}", &path[..at], path.as_bytes()[at], &path[at + 1..]);
            let address = |path: &str| format!("https://a.test/{path}");
            prop_assert!(is_same(&address(&escaped), &address(&path)));
        }
    }
}
