//! Tokens made to confuse a verifier. Numbers like `row_001` are rows of the attack corpus.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokensmith_jose::{
    Algorithm, Expect, Jwk, KeyError, KeySet, MAX_HEADER, MAX_TOKEN, Signer, SigningKey,
    VerifyError, VerifyingKey,
};

const ANY_TYPE: Expect<'static> = Expect::typ(&["at+jwt"]).or_absent();

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key(algorithm: Algorithm) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(algorithm).unwrap())
}

fn set(keys: &[&SigningKey]) -> KeySet {
    KeySet::new(keys.iter().map(|key| key.verifying_key().unwrap())).unwrap()
}

fn token(key: &SigningKey, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", b64(signature))
}

fn es256_header(key: &SigningKey, more: &str) -> String {
    format!(r#"{{"alg":"ES256","kid":"{}"{more}}}"#, key.kid())
}

#[test]
fn row_001_a_token_without_algorithm_or_signature_is_refused() {
    let key = key(Algorithm::Es256);
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": key.kid()}).to_string();
        for signature in ["", "AA"] {
            let token = format!("{}.{}.{signature}", b64(&header), b64("{}"));
            assert_eq!(
                set(&[&key]).verify(&token, ANY_TYPE),
                Err(VerifyError::Algorithm)
            );
        }
    }
}

#[test]
fn row_003_a_public_key_is_no_shared_secret_in_any_encoding() {
    let key = key(Algorithm::Rs256);
    for secret in public_key_encodings(&key) {
        for kid in [format!(r#","kid":"{}""#, key.kid()), String::new()] {
            let signed = format!(
                "{}.{}",
                b64(format!(r#"{{"alg":"HS256"{kid}}}"#)),
                b64("{}")
            );
            let mac = hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, &secret),
                signed.as_bytes(),
            );
            assert!(
                set(&[&key])
                    .verify(&format!("{signed}.{}", b64(mac)), ANY_TYPE)
                    .is_err()
            );
        }
    }
}

/// SPKI PEM, PKCS#1 PEM, PEM without its last newline, PEM with newlines around it, DER, JWK.
fn public_key_encodings(key: &SigningKey) -> Vec<Vec<u8>> {
    let part = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref().unwrap()).unwrap();
    let jwk = key.public_jwk();
    let pkcs1 = sequence(&[integer(&part(&jwk.n)), integer(&part(&jwk.e))].concat());
    let rsa_encryption = [
        0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0,
    ];
    let bits = tlv(3, &[&[0], pkcs1.as_slice()].concat());
    let spki = sequence(&[&rsa_encryption, bits.as_slice()].concat());
    let pem = |label: &str, der: &[u8]| {
        let text: Vec<char> = STANDARD.encode(der).chars().collect();
        let lines: Vec<String> = text.chunks(64).map(|line| line.iter().collect()).collect();
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    };
    let spki_pem = pem("PUBLIC KEY", &spki);
    vec![
        spki_pem.clone().into_bytes(),
        pem("RSA PUBLIC KEY", &pkcs1).into_bytes(),
        spki_pem.trim_end().as_bytes().to_vec(),
        format!("\n {spki_pem}\n").into_bytes(),
        spki,
        serde_json::to_vec(jwk).unwrap(),
    ]
}

fn sequence(body: &[u8]) -> Vec<u8> {
    tlv(0x30, body)
}

fn integer(magnitude: &[u8]) -> Vec<u8> {
    tlv(
        2,
        &[&[0][..usize::from(magnitude[0] >= 0x80)], magnitude].concat(),
    )
}

fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let head = if body.len() < 128 {
        vec![tag, len[1]]
    } else {
        vec![tag, 0x82, len[0], len[1]]
    };
    [head, body.to_vec()].concat()
}

#[test]
fn row_005_a_key_id_is_a_name_and_never_a_path() {
    let key = key(Algorithm::Es256);
    let signed = format!(
        "{}.{}",
        b64(r#"{"alg":"HS256","kid":"../../../../dev/null"}"#),
        b64("{}")
    );
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), signed.as_bytes());
    let token = format!("{signed}.{}", b64(mac));
    assert_eq!(
        set(&[&key]).verify(&token, ANY_TYPE),
        Err(VerifyError::UnknownKey)
    );
}

#[test]
fn row_007_008_a_key_offered_by_the_token_is_never_used() {
    let (ours, attacker) = (key(Algorithm::Es256), key(Algorithm::Es256));
    let mut jwk = attacker.public_jwk().clone();
    jwk.kid = Some(ours.kid().to_owned());
    let jwk = serde_json::to_string(&jwk).unwrap();
    for more in [
        format!(r#","jwk":{jwk}"#),
        r#","jku":"https://evil.test/jwks""#.to_owned(),
        r#","x5u":"https://evil.test/cert","x5c":["AAAA"],"x5t#S256":"AAAA""#.to_owned(),
    ] {
        let forged = token(&attacker, &es256_header(&ours, &more), "{}");
        assert_eq!(
            set(&[&ours]).verify(&forged, ANY_TYPE),
            Err(VerifyError::Signature)
        );
        let honest = token(&ours, &es256_header(&ours, &more), "{}");
        set(&[&ours]).verify(&honest, ANY_TYPE).unwrap();
    }
}

#[test]
fn row_010_critical_extensions_are_refused_even_with_a_right_signature() {
    let key = key(Algorithm::Es256);
    for more in [
        r#","crit":["x-policy"],"x-policy":"1""#,
        r#","crit":["exp"],"exp":1"#,
        r#","b64":false,"crit":["b64"]"#,
    ] {
        let token = token(&key, &es256_header(&key, more), "{}");
        assert_eq!(
            set(&[&key]).verify(&token, ANY_TYPE),
            Err(VerifyError::Critical)
        );
    }
}

#[test]
fn row_015_duplicate_members_in_claims_or_header_are_refused_with_a_right_signature() {
    let key = key(Algorithm::Es256);
    let claims = token(&key, &es256_header(&key, ""), r#"{"sub":"C2","sub":"C1"}"#);
    let verified = set(&[&key]).verify(&claims, ANY_TYPE).unwrap();
    assert_eq!(verified.claims::<Value>(), Err(VerifyError::Claims));
    let header = token(
        &key,
        &es256_header(&key, r#","typ":"at+jwt","typ":"JWT""#),
        "{}",
    );
    assert_eq!(
        set(&[&key]).verify(&header, ANY_TYPE),
        Err(VerifyError::Header)
    );
}

#[test]
fn row_017_a_signature_with_a_flipped_bit_a_byte_less_or_a_byte_more_is_refused() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::EdDsa,
        Algorithm::Rs256,
        Algorithm::Ps256,
    ] {
        let key = key(algorithm);
        let signature = key.sign(b"message").unwrap();
        let verifying = key.verifying_key().unwrap();
        verifying.verify(b"message", &signature).unwrap();
        let mut flipped = signature.clone();
        flipped[10] ^= 1;
        let longer = [signature.as_slice(), &[0]].concat();
        for bad in [
            &flipped,
            &signature[1..].to_vec(),
            &signature[..signature.len() - 1].to_vec(),
            &longer,
            &vec![],
        ] {
            assert_eq!(
                verifying.verify(b"message", bad),
                Err(VerifyError::Signature),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn row_020_tokens_and_headers_beyond_the_limits_are_refused_before_they_are_decoded() {
    let key = key(Algorithm::Es256);
    let keys = set(&[&key]);
    let started = Instant::now();
    for _ in 0..100 {
        assert_eq!(
            keys.verify(&"a".repeat(1 << 20), ANY_TYPE),
            Err(VerifyError::TooLong)
        );
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    let wide = format!(
        "{}.{}.{}",
        "e".repeat(MAX_HEADER + 1),
        b64("{}"),
        b64([0; 64])
    );
    assert_eq!(keys.verify(&wide, ANY_TYPE), Err(VerifyError::TooLong));
    let full = "a".repeat(MAX_TOKEN);
    assert_eq!(keys.verify(&full, ANY_TYPE), Err(VerifyError::Malformed));
}

#[test]
fn row_026_null_signatures_and_keys_of_another_kind_are_refused() {
    let (ec, rsa) = (key(Algorithm::Es256), key(Algorithm::Rs256));
    let keys = set(&[&ec, &rsa]);
    let signed = format!("{}.{}", b64(es256_header(&ec, "")), b64("{}"));
    let zeros = format!("{signed}.{}", b64([0; 64]));
    assert_eq!(keys.verify(&zeros, ANY_TYPE), Err(VerifyError::Signature));
    let header = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, ec.kid());
    assert_eq!(
        keys.verify(&token(&rsa, &header, "{}"), ANY_TYPE),
        Err(VerifyError::Algorithm)
    );
    let header = format!(r#"{{"alg":"PS256","kid":"{}"}}"#, rsa.kid());
    assert_eq!(
        keys.verify(&token(&rsa, &header, "{}"), ANY_TYPE),
        Err(VerifyError::Algorithm)
    );
}

#[test]
fn an_asn1_signature_in_place_of_the_64_bytes_is_refused() {
    let key = key(Algorithm::Es256);
    let raw = key.sign(b"message").unwrap();
    let der = sequence(&[integer(&raw[..32]), integer(&raw[32..])].concat());
    assert_eq!(
        key.verifying_key().unwrap().verify(b"message", &der),
        Err(VerifyError::Signature)
    );
}

#[test]
fn a_token_without_key_id_needs_exactly_one_key_of_its_algorithm() {
    let (first, second, rsa) = (
        key(Algorithm::Es256),
        key(Algorithm::Es256),
        key(Algorithm::Rs256),
    );
    let token = token(&first, r#"{"alg":"ES256"}"#, "{}");
    set(&[&first, &rsa]).verify(&token, ANY_TYPE).unwrap();
    assert_eq!(
        set(&[&first, &second]).verify(&token, ANY_TYPE),
        Err(VerifyError::UnknownKey)
    );
    assert_eq!(
        set(&[&rsa]).verify(&token, ANY_TYPE),
        Err(VerifyError::UnknownKey)
    );
}

fn refusal(jwk: Jwk) -> KeyError {
    VerifyingKey::from_jwk(&jwk).unwrap_err()
}

fn text(bytes: &[u8]) -> Option<String> {
    Some(b64(bytes))
}

#[test]
fn points_off_the_curve_and_of_wrong_length_are_refused() {
    let ec = key(Algorithm::Es256).public_jwk().clone();
    for y in [ec.x.clone(), None, text(&[0; 31]), text(&[0; 33])] {
        let jwk = Jwk { y, ..ec.clone() };
        assert_eq!(refusal(jwk), KeyError::Malformed);
    }
}

#[test]
fn a_key_whose_members_contradict_each_other_is_refused() {
    let ec = key(Algorithm::Es256).public_jwk().clone();
    for alg in ["ES384", "HS256", "RS256", "none", ""] {
        let alg = Some(alg.to_owned());
        assert_eq!(refusal(Jwk { alg, ..ec.clone() }), KeyError::Algorithm);
    }
    for kty in ["oct", "RSA", "OKP", "ec"] {
        let kty = kty.to_owned();
        assert_eq!(refusal(Jwk { kty, ..ec.clone() }), KeyError::Algorithm);
    }
}

#[test]
fn a_key_that_is_not_for_signatures_is_refused() {
    let ec = key(Algorithm::Es256).public_jwk().clone();
    let usage = Some("enc".to_owned());
    assert_eq!(
        refusal(Jwk {
            usage,
            ..ec.clone()
        }),
        KeyError::Use
    );
    let key_ops = Some(vec!["sign".to_owned()]);
    assert_eq!(refusal(Jwk { key_ops, ..ec }), KeyError::Use);
}

#[test]
fn rsa_keys_of_weak_exponent_or_size_are_refused() {
    let rsa = key(Algorithm::Rs256).public_jwk().clone();
    for e in [&[1][..], &[3], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        let jwk = Jwk {
            e: text(e),
            ..rsa.clone()
        };
        assert_eq!(refusal(jwk), KeyError::Strength);
    }
    for size in [0, 128, 255, 513, 1024] {
        let jwk = Jwk {
            n: text(&vec![0xff; size]),
            ..rsa.clone()
        };
        assert!(matches!(
            refusal(jwk),
            KeyError::Strength | KeyError::Malformed
        ));
    }
    let e = text(&[0, 1, 0, 1]);
    assert_eq!(refusal(Jwk { e, ..rsa.clone() }), KeyError::Malformed);
    assert_eq!(refusal(Jwk { n: None, ..rsa }), KeyError::Malformed);
}

fn compact() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,90}){0,4}",
        ("\\PC{0,60}", any::<Vec<u8>>(), any::<Vec<u8>>()).prop_map(
            |(header, payload, signature)| format!(
                "{}.{}.{}",
                b64(header),
                b64(payload),
                b64(signature)
            )
        ),
        (
            prop_oneof!["ES256", "RS256", "HS256", "none", "\\PC{0,4}"],
            "\\PC{0,8}",
            any::<Vec<u8>>(),
            any::<[u8; 32]>(),
        )
            .prop_map(|(alg, kid, payload, signature)| {
                let header = json!({"alg": alg, "kid": kid}).to_string();
                format!("{}.{}.{}", b64(header), b64(payload), b64(signature))
            }),
    ]
}

proptest! {
    #[test]
    fn no_text_verifies_or_panics(text in compact()) {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        prop_assert!(set(&[&key]).verify(&text, ANY_TYPE).is_err());
    }

    #[test]
    fn a_token_altered_in_one_character_is_refused(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.=+/ -]") {
        let key = key(Algorithm::Es256);
        let token = Signer::new(key.clone(), "at+jwt").unwrap().sign(&json!({"sub": "alice", "scope": "read"})).unwrap();
        let at = at.index(token.len());
        prop_assume!(token[at..=at] != with);
        let mut altered = token;
        altered.replace_range(at..=at, &with);
        prop_assert!(set(&[&key]).verify(&altered, ANY_TYPE).is_err());
    }

    #[test]
    fn any_payload_comes_back_as_it_was_signed(payload in any::<Vec<u8>>(), typ in "[ -~]{1,20}") {
        let key = key(Algorithm::EdDsa);
        let token = Signer::new(key.clone(), &typ).unwrap().sign_bytes(&payload).unwrap();
        let verified = set(&[&key]).verify(&token, Expect::typ(&[&typ]));
        // `application/x` is expected under its short name.
        prop_assume!(!typ.to_ascii_lowercase().starts_with("application/"));
        prop_assert_eq!(verified.unwrap().payload, payload);
    }

    #[test]
    fn strict_json_takes_nothing_that_the_plain_parser_refuses(text in "[\\[\\]{}:,\"a-c0-2 \\\\]{0,24}") {
        if tokensmith_jose::strict_json::check(text.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
        }
    }

    #[test]
    fn opening_any_bytes_never_panics(bytes in any::<Vec<u8>>()) {
        let key = tokensmith_jose::seal::SealingKey::new("a", &[1; 32]).unwrap();
        prop_assert!(key.open(&bytes, b"").is_err());
        let framed = [&[1, 1, b'a'], bytes.as_slice()].concat();
        prop_assert!(key.open(&framed, b"").is_err());
    }
}
