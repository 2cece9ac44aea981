//! DPoP proofs: the examples of RFC 9449, and proofs made to confuse a verifier.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokensmith_jose::dpop::{self, ProofError, Prover, Request};
use tokensmith_jose::{Algorithm, KeyError, SigningKey, VerifyError};

const URL: &str = "https://server.example.com/token";
const NOW: i64 = 1_562_262_616;
const REQUEST: Request<'static> = Request {
    method: "POST",
    url: URL,
    now: NOW,
    access_token: None,
};
/// RFC 9449 section 4.1, figure 2.
const OF_TOKEN_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
/// RFC 9449 section 7.1, figure 12.
const OF_RESOURCE_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

static KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| key(Algorithm::Es256));

fn key(algorithm: Algorithm) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(algorithm).unwrap())
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A proof of any header and claims, signed with the key.
fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", b64(signature))
}

fn jwk(key: &SigningKey) -> Value {
    let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
    for member in ["kid", "alg", "use"] {
        jwk.as_object_mut().unwrap().remove(member);
    }
    jwk
}

fn header(key: &SigningKey) -> Value {
    json!({"typ": "dpop+jwt", "alg": key.algorithm().as_str(), "jwk": jwk(key)})
}

fn claims() -> Value {
    json!({"jti": "j", "htm": "POST", "htu": URL, "iat": NOW})
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

fn with_header(header: &Value) -> Result<dpop::Proof, ProofError> {
    dpop::verify(
        &signed(&KEY, &header.to_string(), &claims().to_string()),
        &REQUEST,
    )
}

fn with_claims(claims: &Value) -> Result<dpop::Proof, ProofError> {
    dpop::verify(
        &signed(&KEY, &header(&KEY).to_string(), &claims.to_string()),
        &REQUEST,
    )
}

#[test]
fn the_examples_of_the_rfc_hold() {
    let proof = dpop::verify(OF_TOKEN_REQUEST, &REQUEST).unwrap();
    assert_eq!(proof.key.to_string(), JKT);
    assert_eq!(
        (proof.jti.as_str(), proof.nonce, proof.expires_at),
        ("-BwC3ESc6acc2lTc", None, NOW + 300)
    );
    let request = Request {
        method: "GET",
        url: "https://resource.example.org/protectedresource",
        now: NOW,
        access_token: Some(ACCESS_TOKEN),
    };
    let proof = dpop::verify(OF_RESOURCE_REQUEST, &request).unwrap();
    assert_eq!(proof.key.to_string(), JKT);
}

#[test]
fn what_a_prover_makes_holds_for_its_request_alone() {
    for algorithm in dpop::ALGORITHMS {
        let prover = Prover::new(key(algorithm)).unwrap();
        let request = Request {
            access_token: Some(ACCESS_TOKEN),
            url: "https://server.example.com/token?a=b#c",
            ..REQUEST
        };
        let proof = prover.prove(&request, Some("n")).unwrap();
        let held = dpop::verify(&proof, &request).unwrap();
        assert_eq!((held.key, held.nonce.as_deref()), (prover.key(), Some("n")));
        let again = dpop::verify(&prover.prove(&request, None).unwrap(), &request).unwrap();
        assert_ne!(again.jti, held.jti);
        for (other, error) in [
            (
                Request {
                    method: "post",
                    ..request
                },
                ProofError::Method,
            ),
            (
                Request {
                    method: "GET",
                    ..request
                },
                ProofError::Method,
            ),
            (
                Request {
                    url: "https://server.example.com/other",
                    ..request
                },
                ProofError::Address,
            ),
            (
                Request {
                    access_token: Some("another"),
                    ..request
                },
                ProofError::AccessToken,
            ),
            (
                Request {
                    now: NOW + 300,
                    ..request
                },
                ProofError::Age,
            ),
            (
                Request {
                    now: NOW - 61,
                    ..request
                },
                ProofError::Age,
            ),
        ] {
            assert_eq!(dpop::verify(&proof, &other), Err(error), "{other:?}");
        }
        for now in [NOW - 60, NOW + 299] {
            assert!(dpop::verify(&proof, &Request { now, ..request }).is_ok());
        }
    }
    let banned = Prover::new(key(Algorithm::Rs256));
    assert_eq!(banned.unwrap_err(), KeyError::Algorithm);
}

#[test]
fn row_309_the_header_is_of_a_proof_and_shows_the_public_key_that_signed() {
    assert!(with_header(&header(&KEY)).is_ok());
    let other = key(Algorithm::Es256);
    let (rsa, ed) = (key(Algorithm::Rs256), key(Algorithm::EdDsa));
    let with = |member: &str, value: Value| with(header(&KEY), member, value);
    let in_jwk = |member: &str, value: Value| with("jwk", self::with(jwk(&KEY), member, value));
    for (header, error) in [
        (with("typ", json!("JWT")), VerifyError::Type.into()),
        (with("typ", json!("at+jwt")), VerifyError::Type.into()),
        (without(header(&KEY), "typ"), VerifyError::Type.into()),
        (with("typ", json!(null)), VerifyError::Header.into()),
        (with("alg", json!("none")), VerifyError::Algorithm.into()),
        (with("alg", json!("HS256")), VerifyError::Algorithm.into()),
        (with("alg", json!("RS256")), VerifyError::Algorithm.into()),
        (with("alg", json!("EdDSA")), KeyError::Algorithm.into()),
        (with("crit", json!(["jwk"])), VerifyError::Critical.into()),
        (with("b64", json!(true)), VerifyError::Critical.into()),
        (with("jwk", jwk(&other)), VerifyError::Signature.into()),
        (with("jwk", jwk(&rsa)), KeyError::Algorithm.into()),
        (with("jwk", jwk(&ed)), KeyError::Algorithm.into()),
        (
            with("jwk", json!({"kty": "oct", "k": "AAAA"})),
            ProofError::NotPublic,
        ),
        (with("jwk", json!(null)), ProofError::NotPublic),
        (with("jwk", json!("key")), ProofError::NotPublic),
        (with("jwk", json!([jwk(&KEY)])), ProofError::NotPublic),
        (with("jwk", json!({})), KeyError::Malformed.into()),
        (without(header(&KEY), "jwk"), ProofError::NotPublic),
        (in_jwk("d", json!("AAAA")), ProofError::NotPublic),
        (in_jwk("d", json!(null)), ProofError::NotPublic),
        (in_jwk("k", json!("")), ProofError::NotPublic),
        (in_jwk("alg", json!("PS256")), KeyError::Algorithm.into()),
        (in_jwk("use", json!("enc")), KeyError::Use.into()),
        (in_jwk("x", json!("AAAA")), KeyError::Malformed.into()),
        (in_jwk("crv", json!("P-384")), KeyError::Algorithm.into()),
    ] {
        assert_eq!(with_header(&header), Err(error), "{header}");
    }
    let twice = header(&KEY).to_string().replacen('{', r#"{"jwk":{},"#, 1);
    let proof = signed(&KEY, &twice, &claims().to_string());
    assert_eq!(
        dpop::verify(&proof, &REQUEST),
        Err(VerifyError::Header.into())
    );
}

#[test]
fn row_309_the_claims_are_about_this_request_at_this_moment() {
    assert!(with_claims(&claims()).is_ok());
    let with = |member: &str, value: Value| with(claims(), member, value);
    for (claims, error) in [
        (without(claims(), "jti"), ProofError::Claims),
        (without(claims(), "htm"), ProofError::Claims),
        (without(claims(), "htu"), ProofError::Claims),
        (without(claims(), "iat"), ProofError::Claims),
        (with("jti", json!("")), ProofError::Claims),
        (with("jti", json!(1)), ProofError::Claims),
        (with("jti", json!("x".repeat(257))), ProofError::Claims),
        (with("nonce", json!("")), ProofError::Claims),
        (with("nonce", json!(null)), ProofError::Claims),
        (with("nonce", json!("x".repeat(257))), ProofError::Claims),
        (with("ath", json!(null)), ProofError::Claims),
        (with("iat", json!("1562262616")), ProofError::Claims),
        (with("iat", json!(null)), ProofError::Claims),
        (with("iat", json!(1e300)), ProofError::Claims),
        (with("iat", json!(NOW - 600)), ProofError::Age),
        (with("iat", json!(NOW - 300)), ProofError::Age),
        (with("iat", json!(NOW + 61)), ProofError::Age),
        (with("iat", json!(NOW + 3600)), ProofError::Age),
        (with("iat", json!(i64::MIN)), ProofError::Age),
        (with("iat", json!(i64::MAX)), ProofError::Age),
        (with("exp", json!(NOW)), ProofError::Age),
        (with("nbf", json!(NOW + 61)), ProofError::Age),
        (with("exp", json!("soon")), ProofError::Claims),
        (with("htm", json!("GET")), ProofError::Method),
        (with("htm", json!("post")), ProofError::Method),
        (
            with("htu", json!("https://other.example.com/token")),
            ProofError::Address,
        ),
        (
            with("htu", json!("https://server.example.com/token/")),
            ProofError::Address,
        ),
        (
            with("htu", json!("http://server.example.com/token")),
            ProofError::Address,
        ),
        (with("htu", json!("/token")), ProofError::Address),
    ] {
        assert_eq!(with_claims(&claims), Err(error), "{claims}");
    }
    for good in [
        with("iat", json!(NOW - 299)),
        with("iat", json!(NOW as f64 + 0.5)),
        with("iat", json!(NOW + 60)),
        with("htu", json!("HTTPS://server.example.com:443/token?x#y")),
        with("jti", json!("x".repeat(256))),
        with("other", json!({"a": 1})),
        with("ath", json!("of no token here")),
    ] {
        assert!(with_claims(&good).is_ok(), "{good}");
    }
}

#[test]
fn row_309_ath_is_the_hash_of_the_very_token() {
    let request = Request {
        access_token: Some("token"),
        ..REQUEST
    };
    let ath = |ath: Value| {
        let claims = with(claims(), "ath", ath).to_string();
        dpop::verify(&signed(&KEY, &header(&KEY).to_string(), &claims), &request)
    };
    let right = "PEaXHhCZwJW5aIhx-ju0vJXKRLUlhGxwLQ_7LsRTFR8";
    let computed = b64(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        b"token",
    ));
    assert!(ath(json!(computed)).is_ok());
    for wrong in [
        json!(format!("{computed}=")),
        json!(""),
        json!("token"),
        json!(right.to_lowercase()),
    ] {
        assert_eq!(ath(wrong), Err(ProofError::AccessToken));
    }
    let plain = Prover::new(KEY.clone())
        .unwrap()
        .prove(&REQUEST, None)
        .unwrap();
    assert_eq!(dpop::verify(&plain, &request), Err(ProofError::AccessToken));
}

#[test]
fn a_proof_is_bounded_and_one() {
    let good = Prover::new(KEY.clone())
        .unwrap()
        .prove(&REQUEST, None)
        .unwrap();
    for text in [
        String::new(),
        format!("{good}, {good}"),
        format!("{good},{good}"),
        format!("{good} "),
        format!("{good}.x"),
        good[..good.len() - 1].to_owned(),
        good.replacen('.', "", 1),
    ] {
        assert!(dpop::verify(&text, &REQUEST).is_err(), "{text}");
    }
    let long = with(claims(), "other", json!("x".repeat(8 * 1024)));
    assert_eq!(with_claims(&long), Err(VerifyError::TooLong.into()));
    let long = with(header(&KEY), "other", json!("x".repeat(2 * 1024)));
    assert_eq!(with_header(&long), Err(VerifyError::TooLong.into()));
}

proptest! {
    #[test]
    fn no_text_is_a_proof_and_none_panics(text in any::<String>(), a in "[A-Za-z0-9_-]{0,40}", b in "[A-Za-z0-9_-]{0,40}") {
        prop_assert!(dpop::verify(&text, &REQUEST).is_err());
        let dotted = format!("{}.{a}.{b}", b64(r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{}}"#));
        prop_assert!(dpop::verify(&dotted, &REQUEST).is_err());
    }

    #[test]
    fn turning_any_character_refuses_a_proof(at in 0usize..OF_TOKEN_REQUEST.len(), with in "[A-Za-z0-9_.-]") {
        let mut turned = OF_TOKEN_REQUEST.to_owned();
        turned.replace_range(at..=at, &with);
        prop_assert_eq!(dpop::verify(&turned, &REQUEST).is_ok(), turned == OF_TOKEN_REQUEST);
    }

    #[test]
    fn any_json_in_the_place_of_a_member_is_judged_without_a_panic(
        member in prop::sample::select(vec!["typ", "alg", "jwk", "jti", "htm", "htu", "iat", "ath", "nonce", "exp"]),
        json in "[\\[\\]{}\",:0-9eE.+a-c -]{0,20}",
    ) {
        let splice = |object: Value| {
            let text = without(object, member).to_string();
            format!("{},\"{member}\":{json}}}", &text[..text.len() - 1])
        };
        let _ = dpop::verify(&signed(&KEY, &splice(header(&KEY)), &claims().to_string()), &REQUEST);
        let _ = dpop::verify(&signed(&KEY, &header(&KEY).to_string(), &splice(claims())), &REQUEST);
    }
}
