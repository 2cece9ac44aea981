//! Tokens signed here verify here, and nothing near them does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::{Value, json};
use tokensmith_jose::{
    Algorithm, Expect, HmacKey, JwkSet, KeyError, KeySet, Signer, SigningKey, VerifyError,
    VerifyingKey,
};

const ASYMMETRIC: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Rs256,
    Algorithm::Ps256,
    Algorithm::EdDsa,
];
const AT: Expect<'static> = Expect::typ(&["at+jwt"]);

fn key(algorithm: Algorithm) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(algorithm).unwrap())
}

fn set(key: &SigningKey) -> KeySet {
    KeySet::new([key.verifying_key().unwrap()]).unwrap()
}

#[test]
fn each_algorithm_verifies_what_it_signed_through_the_published_set() {
    for algorithm in ASYMMETRIC {
        let key = key(algorithm);
        let token = Signer::new(key.clone(), "at+jwt")
            .unwrap()
            .sign(&json!({"sub": "alice"}))
            .unwrap();
        let published = serde_json::to_vec(&JwkSet {
            keys: vec![key.public_jwk().clone()],
        })
        .unwrap();
        let keys = KeySet::from_jwks(&JwkSet::from_slice(&published).unwrap()).unwrap();
        let verified = keys.verify(&token, AT).unwrap();
        assert_eq!(verified.header.alg, algorithm);
        assert_eq!(verified.header.kid.as_deref(), Some(key.kid()));
        assert_eq!(verified.claims::<Value>().unwrap(), json!({"sub": "alice"}));
    }
}

#[test]
fn keys_survive_pkcs8_with_the_same_key_id() {
    for algorithm in ASYMMETRIC {
        let key = key(algorithm);
        let read = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(read.public_jwk(), key.public_jwk());
        let signature = read.sign(b"message").unwrap();
        key.verifying_key()
            .unwrap()
            .verify(b"message", &signature)
            .unwrap();
    }
}

#[test]
fn a_key_of_one_kind_is_not_read_as_another() {
    let pkcs8 = key(Algorithm::Es256).to_pkcs8().unwrap();
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa] {
        assert_eq!(
            SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap_err(),
            KeyError::Malformed
        );
    }
    assert_eq!(
        SigningKey::from_pkcs8(Algorithm::Hs256, &pkcs8).unwrap_err(),
        KeyError::Algorithm
    );
    assert_eq!(
        SigningKey::generate(Algorithm::Hs256).unwrap_err(),
        KeyError::Algorithm
    );
}

#[test]
fn a_token_is_allocated_once() {
    for algorithm in ASYMMETRIC {
        let token = Signer::new(key(algorithm), "at+jwt")
            .unwrap()
            .sign(&json!({"sub": "alice"}))
            .unwrap();
        assert_eq!(token.len(), token.capacity(), "{algorithm}");
    }
}

#[test]
fn the_debug_text_of_a_key_holds_no_private_part() {
    let key = key(Algorithm::Es256);
    assert_eq!(
        format!("{key:?}"),
        format!("SigningKey(ES256 {})", key.kid())
    );
    let secret = HmacKey::new(&[b'z'; 32]).unwrap();
    assert_eq!(
        format!(
            "{secret:?} {:?}",
            VerifyingKey::from_hmac(&secret).algorithm()
        ),
        "HmacKey(..) Hs256"
    );
}

#[test]
fn a_shared_secret_verifies_only_its_own_tokens_and_needs_32_bytes() {
    assert_eq!(HmacKey::new(&[1; 31]).unwrap_err(), KeyError::Strength);
    let secret = HmacKey::new(&[1; 32]).unwrap();
    let token = Signer::hs256(secret.clone(), "JWT")
        .unwrap()
        .sign(&json!({}))
        .unwrap();
    let keys = KeySet::new([VerifyingKey::from_hmac(&secret)]).unwrap();
    keys.verify(&token, Expect::typ(&["JWT"])).unwrap();
    let other = KeySet::new([VerifyingKey::from_hmac(&HmacKey::new(&[2; 32]).unwrap())]).unwrap();
    assert_eq!(
        other.verify(&token, Expect::typ(&["JWT"])),
        Err(VerifyError::Signature)
    );
}

#[test]
fn another_type_or_key_is_named_as_such() {
    let key_a = key(Algorithm::Es256);
    let token = Signer::new(key_a.clone(), "at+jwt")
        .unwrap()
        .sign(&json!({}))
        .unwrap();
    assert_eq!(
        set(&key_a).verify(&token, Expect::typ(&["JWT"])),
        Err(VerifyError::Type)
    );
    assert_eq!(
        set(&key(Algorithm::Es256)).verify(&token, AT),
        Err(VerifyError::UnknownKey)
    );
}

#[test]
fn a_set_refuses_two_keys_of_one_id() {
    let key = key(Algorithm::Es256);
    let twice = [key.verifying_key().unwrap(), key.verifying_key().unwrap()];
    assert_eq!(KeySet::new(twice).unwrap_err(), KeyError::DuplicateKeyId);
}
