//! The words of OAuth requests: form, Basic header, scope, resource indicator, redirect URI, client id.

use tokensmith_oauth2::{
    ClientId, Form, RedirectUri, ResourceIndicator, Scope, basic, form as encoding,
};

const NAMES: [&str; 7] = [
    "grant_type",
    "client_id",
    "client_secret",
    "scope",
    "resource",
    "code",
    "a",
];

/// A form (RFC 6749 appendix B): what was read can be written and read again, and nothing is read from half of a name.
pub(super) fn form(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    for name in NAMES {
        let values: Vec<&str> = form.many(name).collect();
        // A parameter without a value counts as left out (RFC 6749 section 3.1).
        assert!(values.is_empty() || form.has(name));
        let written = encoding::encode(values.iter().map(|value| (name, *value)));
        let again = Form::parse(written.as_bytes()).expect("what was read can be written");
        assert_eq!(again.many(name).collect::<Vec<_>>(), values);
        if let Ok(Some(one)) = form.one(name) {
            assert_eq!(values, [one]);
            assert!(!one.contains('\0'), "{one:?}");
        }
    }
}

/// Client authentication by HTTP Basic (RFC 6749 section 2.3.1): one reading of each header, which can be written again.
pub(super) fn basic(bytes: &[u8]) {
    let Ok(header) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok((id, secret)) = basic::parse(header) else {
        return;
    };
    assert!(basic::is_basic(header), "{header:?}");
    assert!(!secret.expose().is_empty());
    client_id(id.as_str());
    let written = basic::header(&id, &secret);
    let (same_id, same_secret) =
        basic::parse(written.expose()).expect("what was read can be written");
    assert_eq!(
        (same_id.as_str(), same_secret.expose()),
        (id.as_str(), secret.expose())
    );
}

/// A client id reads as itself and is never a user's id.
fn client_id(text: &str) {
    let id = ClientId::parse(text).expect("an id that was read before");
    assert_eq!(id.as_str(), text);
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let is_uuid = hex.len() == 32 && text.len() == 36 && text.matches('-').count() == 4;
    assert!(!is_uuid, "{text}");
}

/// A scope (RFC 6749 section 3.3) and the laws of sets.
pub(super) fn scope(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (one, other) = text.split_once('\n').unwrap_or((text, "openid"));
    let (Ok(one), Ok(other)) = (Scope::parse(one), Scope::parse(other)) else {
        return;
    };
    for token in one.iter() {
        assert!(one.contains(token) && !token.is_empty());
        assert!(
            token
                .bytes()
                .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
            "{token:?}"
        );
    }
    assert_eq!(
        Scope::parse(one.as_str()).expect("what was read can be written"),
        one
    );
    let (both, common) = (one.union(&other), one.intersection(&other));
    assert!(one.is_subset_of(&both) && other.is_subset_of(&both));
    assert!(common.is_subset_of(&one) && common.is_subset_of(&other));
    assert_eq!(one.is_subset_of(&other), common == one);
    assert!(
        common
            .iter()
            .all(|token| one.contains(token) && other.contains(token))
    );
}

/// A resource indicator (RFC 8707): absolute, without fragment, compared as written.
pub(super) fn resource(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(resource) = ResourceIndicator::parse(text) else {
        return;
    };
    assert_eq!(resource.as_str(), text);
    assert!(!text.contains('#') && text.contains(':'), "{text:?}");
    assert!(
        !text.chars().any(|c| c.is_control() || c.is_whitespace()),
        "{text:?}"
    );
}

/// A registered redirect URI (RFC 9700 section 2.1): it matches itself, and nothing that merely looks like it.
pub(super) fn redirect_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (registered, requested) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(uri) = RedirectUri::parse(registered) else {
        return;
    };
    assert_eq!(uri.as_str(), registered);
    assert!(uri.matches(registered), "{registered:?}");
    assert!(
        !registered.contains(['#', '*', ' ', '\\']),
        "{registered:?}"
    );
    let scheme = registered
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    assert!(
        !["javascript", "data", "vbscript", "file", "blob"].contains(&scheme.as_str()),
        "{registered:?}"
    );
    if uri.matches(requested) && requested != registered {
        // Only the port of a loopback address may differ (RFC 8252 section 7.3).
        assert!(uri.is_loopback(), "{registered:?} matches {requested:?}");
        assert!(
            requested.starts_with("http://127.0.0.1") || requested.starts_with("http://[::1]"),
            "{requested:?}"
        );
    }
}
