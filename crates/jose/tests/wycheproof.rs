//! Project Wycheproof's vectors for JWS and JWK, and the figures of RFC 7520 among them (`vectors/README.md`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde::Deserialize;
use serde_json::Value;
use tokensmith_jose::{Expect, HmacKey, Jwk, JwkSet, KeySet, VerifyingKey};

const ANY_TYPE: Expect<'static> = Expect::typ(&["JWT"]).or_absent();

/// Valid to Wycheproof, refused here. 372, 373: a foreign character inside base64url, which RFC 7515 section 2 does not allow.
/// 346, 350: Figure 20 of RFC 7520 is PS384 under a key that says PS256.
const REFUSED_ON_PURPOSE: [u32; 4] = [346, 350, 372, 373];

/// Invalid to Wycheproof by mistake: these tokens are, character for character, the valid one of 357.
const SAME_AS_VALID: [u32; 2] = [367, 370];

#[derive(Deserialize)]
struct Group {
    comment: String,
    key: Value,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    comment: String,
    jws: String,
    result: String,
}

fn groups(text: &str) -> Vec<Group> {
    serde_json::from_str(text).unwrap()
}

/// A set with that key, when it is one this crate takes at all.
fn set_of(key: &Value) -> Option<KeySet> {
    let key = if key["kty"] == "oct" {
        shared(key)?
    } else {
        public(key)?
    };
    Some(KeySet::new([key]).unwrap())
}

fn public(key: &Value) -> Option<VerifyingKey> {
    let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
    VerifyingKey::from_jwk(&jwk).ok()
}

fn shared(key: &Value) -> Option<VerifyingKey> {
    use base64::Engine as _;
    if key["alg"] != "HS256" {
        return None;
    }
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(key["k"].as_str().unwrap())
        .unwrap();
    Some(
        VerifyingKey::from_hmac(&HmacKey::new(&secret).ok()?)
            .with_kid(key["kid"].as_str().unwrap()),
    )
}

fn expected(case: &Case) -> bool {
    SAME_AS_VALID.contains(&case.tc_id)
        || (case.result == "valid" && !REFUSED_ON_PURPOSE.contains(&case.tc_id))
}

#[test]
fn every_signature_vector_of_a_supported_algorithm_has_its_result() {
    let (mut accepted, mut refused, mut unsupported) = (0, 0, 0);
    for group in groups(include_str!("vectors/json_web_signature.json")) {
        let set = set_of(&group.key);
        for case in &group.tests {
            let verifies = set
                .as_ref()
                .is_some_and(|set| set.verify(&case.jws, ANY_TYPE).is_ok());
            let must = set.is_some() && expected(case);
            assert_eq!(
                verifies, must,
                "{} {} {}",
                case.tc_id, group.comment, case.comment
            );
            match (verifies, set.is_some()) {
                (true, _) => accepted += 1,
                (false, true) => refused += 1,
                (false, false) => unsupported += 1,
            }
        }
    }
    assert_eq!((accepted, refused, unsupported), (26, 336, 39));
}

#[test]
fn every_key_set_vector_has_its_result() {
    let (mut accepted, mut refused) = (0, 0);
    for group in groups(include_str!("vectors/json_web_key.json")) {
        let set: JwkSet = serde_json::from_value(group.key.clone()).unwrap();
        let set = KeySet::from_jwks(&set).unwrap_or_default();
        // A symmetric key is never taken from a set, so the valid HMAC cases are refused as well.
        let symmetric = group.key["keys"]
            .as_array()
            .unwrap()
            .iter()
            .all(|key| key["kty"] == "oct");
        for case in &group.tests {
            let verifies = set.verify(&case.jws, ANY_TYPE).is_ok();
            assert_eq!(
                verifies,
                case.result == "valid" && !symmetric,
                "{} {}",
                case.tc_id,
                case.comment
            );
            if verifies {
                accepted += 1
            } else {
                refused += 1
            }
        }
    }
    assert_eq!((accepted, refused), (1, 25));
}
