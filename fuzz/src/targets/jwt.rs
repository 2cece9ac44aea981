//! Tokens (RFC 7515, RFC 7519): as they come, and signed correctly around any header and payload.

use std::sync::LazyLock;

use serde_json::Value;
use tokensmith_jose::{Expect, KeySet, strict_json, unverified_claims};

use super::signing::{KEY, signed_by_our_key};

const AT_JWT: Expect<'static> = Expect::typ(&["at+jwt"]);

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let key = KEY.verifying_key().expect("a public half");
    KeySet::new([key.with_kid("k")]).expect("one key")
});

/// A text from a header field: nothing but three segments is read, and nothing verifies that was not signed.
pub(super) fn any_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read: Result<Value, _> = unverified_claims(text);
    if read.is_ok() {
        let segments: Vec<&str> = text.split('.').collect();
        assert_eq!(segments.len(), 3, "{text:?}");
        let payload = segments[1];
        assert!(
            payload
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "{text:?}"
        );
    }
    assert!(
        KEYS.verify(text, AT_JWT).is_err(),
        "a forged token: {text:?}"
    );
}

/// Header and payload, cut at the first line break, signed: the header decides, and each member counts once.
pub(super) fn signed(bytes: &[u8]) {
    let Some(cut) = bytes.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (header, payload) = (&bytes[..cut], &bytes[cut + 1..]);
    let token = signed_by_our_key(header, payload);
    let Ok(verified) = KEYS.verify(&token, AT_JWT) else {
        return;
    };
    assert_eq!(verified.payload, payload);
    let header: Value = strict_json::from_slice(header).expect("an accepted header is strict JSON");
    assert_eq!(header["alg"], "EdDSA");
    let typ = header["typ"]
        .as_str()
        .expect("an accepted header has a type")
        .to_ascii_lowercase();
    assert!(typ == "at+jwt" || typ == "application/at+jwt", "{typ:?}");
    assert!(header.get("kid").is_none_or(|kid| kid == "k"), "{header}");
    assert!(header.get("crit").is_none(), "{header}");
    let claims: Result<Value, _> = verified.claims();
    assert_eq!(claims.is_ok(), strict_json::check(payload).is_ok());
}

/// JSON without duplicate members: accepts nothing that serde_json refuses, and reads it the same way.
pub(super) fn json(bytes: &[u8]) {
    let strict: Result<Value, _> = strict_json::from_slice(bytes);
    let plain: Result<Value, _> = serde_json::from_slice(bytes);
    assert_eq!(strict_json::check(bytes).is_ok(), strict.is_ok());
    if let Ok(strict) = strict {
        assert_eq!(strict, plain.expect("strict JSON is JSON"));
    }
}
