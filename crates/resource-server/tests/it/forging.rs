//! Theme 01, JWT forging: header, key and signature.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, SigningKey};

use crate::issuer::{Answer, Issuer, b64, sign};
use crate::protected::{app, assert_ok, get_with};

const WRONG_KEY: &str = "the token names no known key";
const WRONG_ALGORITHM: &str = "the token algorithm is not that of the key";
const WRONG_SIGNATURE: &str = "the token signature is wrong";
const WRONG_TYPE: &str = "the token is of another type";
const TOO_LONG: &str = "the token is too long";
const MALFORMED: &str = "the token is not a compact JWS";

fn with_header(issuer: &Issuer, changes: Value) -> String {
    let mut header = issuer.header();
    for (name, value) in changes.as_object().unwrap() {
        header[name] = value.clone();
    }
    sign(
        &issuer.key,
        &header.to_string(),
        &issuer.claims().to_string(),
    )
}

fn mac(secret: &[u8], header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        signed.as_bytes(),
    );
    format!("{signed}.{}", b64(tag))
}

#[tokio::test]
async fn row_001_a_token_with_algorithm_none_is_refused() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    let payload = b64(issuer.claims().to_string());
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": issuer.key.kid()}).to_string();
        let reply = get_with(&app, "/me", &format!("{}.{payload}.", b64(header))).await;
        reply.assert_invalid_token(WRONG_ALGORITHM);
    }
}

#[tokio::test]
async fn row_003_an_rsa_public_key_is_not_taken_for_a_shared_secret() {
    let issuer = Issuer::start().await;
    let rsa = SigningKey::generate(Algorithm::Rs256).unwrap();
    issuer.publish(&[&rsa]);
    let app = app(issuer.server());
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": rsa.kid()}).to_string();
    let claims = issuer.claims().to_string();
    assert_ok(&get_with(&app, "/me", &sign(&rsa, &header, &claims)).await);
    let encodings = public_key_encodings(&rsa);
    assert_eq!(encodings.len(), 6);
    for secret in encodings {
        let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": rsa.kid()}).to_string();
        get_with(&app, "/me", &mac(&secret, &header, &claims))
            .await
            .assert_invalid_token(WRONG_ALGORITHM);
        let header = json!({"alg": "HS256", "typ": "at+jwt"}).to_string();
        get_with(&app, "/me", &mac(&secret, &header, &claims))
            .await
            .assert_invalid_token(WRONG_KEY);
    }
}

/// SPKI PEM, PKCS#1 PEM, PEM without its last newline, PEM with space and newline before it, DER, JWK.
fn public_key_encodings(key: &SigningKey) -> [Vec<u8>; 6] {
    let part = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref().unwrap()).unwrap();
    let jwk = key.public_jwk();
    let pkcs1 = der(
        0x30,
        &[der_integer(&part(&jwk.n)), der_integer(&part(&jwk.e))].concat(),
    );
    let rsa_encryption = [
        0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0,
    ];
    let spki = der(
        0x30,
        &[
            &rsa_encryption[..],
            &der(3, &[&[0], pkcs1.as_slice()].concat()),
        ]
        .concat(),
    );
    let spki_pem = pem("PUBLIC KEY", &spki);
    [
        spki_pem.clone().into_bytes(),
        pem("RSA PUBLIC KEY", &pkcs1).into_bytes(),
        spki_pem.trim_end().as_bytes().to_vec(),
        format!(" \n{spki_pem}").into_bytes(),
        spki,
        serde_json::to_vec(jwk).unwrap(),
    ]
}

fn pem(label: &str, der: &[u8]) -> String {
    let text: Vec<char> = STANDARD.encode(der).chars().collect();
    let lines: Vec<String> = text.chunks(64).map(|line| line.iter().collect()).collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn der_integer(magnitude: &[u8]) -> Vec<u8> {
    der(
        2,
        &[&[0][..usize::from(magnitude[0] >= 0x80)], magnitude].concat(),
    )
}

fn der(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let head = if body.len() < 128 {
        vec![tag, len[1]]
    } else {
        vec![tag, 0x82, len[0], len[1]]
    };
    [head, body.to_vec()].concat()
}

#[tokio::test]
async fn row_005_a_key_id_is_never_a_path() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"../../../../dev/null"}"#;
    let token = mac(b"", header, &issuer.claims().to_string());
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token(WRONG_KEY);
}

#[tokio::test]
async fn row_007_an_address_in_the_token_is_never_visited() {
    let issuer = Issuer::start().await;
    let evil = Issuer::start().await;
    let app = app(issuer.server());
    for name in ["jku", "x5u"] {
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": evil.key.kid(), name: format!("{}/jwks", evil.url)});
        let token = sign(&evil.key, &header.to_string(), &issuer.claims().to_string());
        get_with(&app, "/me", &token)
            .await
            .assert_invalid_token(WRONG_KEY);
        assert_ok(
            &get_with(
                &app,
                "/me",
                &with_header(&issuer, json!({name: format!("{}/jwks", evil.url)})),
            )
            .await,
        );
    }
    assert_eq!(evil.jwks_hits(), 0);
}

#[tokio::test]
async fn row_008_a_key_in_the_token_is_never_used() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut jwk = serde_json::to_value(attacker.public_jwk()).unwrap();
    jwk["kid"] = json!(issuer.key.kid());
    let header =
        json!({"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid(), "jwk": jwk}).to_string();
    let token = sign(&attacker, &header, &issuer.claims().to_string());
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token(WRONG_SIGNATURE);
    let own = json!({"jwk": issuer.key.public_jwk()});
    assert_ok(&get_with(&app, "/me", &with_header(&issuer, own)).await);
}

#[tokio::test]
async fn row_010_an_unknown_critical_extension_is_refused() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_ok(&get_with(&app, "/me", &with_header(&issuer, json!({"x-policy": "1"}))).await);
    let token = with_header(&issuer, json!({"crit": ["x-policy"], "x-policy": "1"}));
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token("the token header demands an extension");
}

#[tokio::test]
async fn row_012_an_id_token_is_not_an_access_token() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    let id_token = json!({"iss": issuer.url, "sub": crate::issuer::USER, "aud": "web", "iat": crate::issuer::NOW,
        "exp": crate::issuer::NOW + 900, "nonce": "n", "email": "alice.admin@example.com"});
    for typ in [json!({"typ": "JWT"}), json!({"typ": "id+jwt"})] {
        get_with(&app, "/me", &with_header(&issuer, typ))
            .await
            .assert_invalid_token(WRONG_TYPE);
    }
    let untyped = json!({"alg": "ES256", "kid": issuer.key.kid()}).to_string();
    let token = sign(&issuer.key, &untyped, &id_token.to_string());
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token(WRONG_TYPE);
    // Even one that lies about its type is for another audience.
    get_with(&app, "/me", &issuer.token(&id_token))
        .await
        .assert_invalid_token("the token is for another audience");
}

#[tokio::test]
async fn row_013_refresh_tokens_assertions_and_proofs_are_not_access_tokens() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    let opaque = "family.3.dGhlIHNlY3JldCBwYXJ0IG9mIGEgcmVmcmVzaCB0b2tlbg";
    get_with(&app, "/me", opaque)
        .await
        .assert_invalid_token(MALFORMED);
    get_with(&app, "/me", "rt_0123456789abcdef")
        .await
        .assert_invalid_token(MALFORMED);
    let refresh = issuer.token_with("type", Some(json!("refresh")));
    get_with(&app, "/me", &refresh)
        .await
        .assert_invalid_token("the token is not an access token");
    let assertion = with_header(&issuer, json!({"typ": "client-authentication+jwt"}));
    get_with(&app, "/me", &assertion)
        .await
        .assert_invalid_token(WRONG_TYPE);
    let proof = with_header(
        &issuer,
        json!({"typ": "dpop+jwt", "jwk": issuer.key.public_jwk()}),
    );
    get_with(&app, "/me", &proof)
        .await
        .assert_invalid_token(WRONG_TYPE);
}

#[tokio::test]
async fn row_015_duplicate_members_are_refused_though_the_signature_is_right() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let claims = issuer.claims().to_string();
    let twice = format!(
        r#"{},"sub":"chat-api-service"}}"#,
        &claims[..claims.len() - 1]
    );
    let header = issuer.header().to_string();
    assert_ok(&get_with(&app, "/me", &sign(&issuer.key, &header, &claims)).await);
    let token = sign(&issuer.key, &header, &twice);
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token("the token claims are malformed");
    let header_twice = format!(r#"{},"alg":"none"}}"#, &header[..header.len() - 1]);
    let token = sign(&issuer.key, &header_twice, &claims);
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token("the token header is malformed");
}

#[tokio::test]
async fn row_017_an_altered_signature_is_refused_also_after_the_token_was_accepted() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut flipped = signature.clone();
    flipped[40] ^= 1;
    for bad in [
        flipped,
        signature[..63].to_vec(),
        [signature.as_slice(), &[0]].concat(),
        Vec::new(),
    ] {
        let reply = get_with(&app, "/me", &format!("{signed}.{}", b64(bad))).await;
        reply.assert_invalid_token(WRONG_SIGNATURE);
    }
    assert_ok(&get_with(&app, "/me", &token).await);
}

#[tokio::test]
async fn row_020_enormous_tokens_and_headers_are_refused_at_once() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    let payload = b64(issuer.claims().to_string());
    let wide_header = format!("{}.{payload}.{}", "e".repeat(256 * 1024), b64([0; 64]));
    let started = Instant::now();
    for _ in 0..10 {
        get_with(&app, "/me", &"a".repeat(1 << 20))
            .await
            .assert_invalid_token(TOO_LONG);
        get_with(&app, "/me", &wide_header)
            .await
            .assert_invalid_token(TOO_LONG);
    }
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?} for 20 requests",
        started.elapsed()
    );
    let header = "e".repeat(1025);
    get_with(&app, "/me", &format!("{header}.{payload}.AA"))
        .await
        .assert_invalid_token(TOO_LONG);
}

#[tokio::test]
async fn row_024_a_token_of_a_withdrawn_key_is_refused_within_twice_the_fresh_time() {
    let issuer = Issuer::start().await;
    let fresh = Duration::from_millis(150);
    let app = app(issuer.builder().keys_fresh_for(fresh).build().unwrap());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    let successor = SigningKey::generate(Algorithm::Es256).unwrap();
    issuer.publish(&[&successor]);
    tokio::time::sleep(fresh * 2).await;
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token(WRONG_KEY);
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": successor.kid()}).to_string();
    assert_ok(
        &get_with(
            &app,
            "/me",
            &sign(&successor, &header, &issuer.claims().to_string()),
        )
        .await,
    );
}

#[tokio::test]
async fn row_026_null_signatures_and_keys_of_another_kind_are_refused() {
    let issuer = Issuer::start().await;
    let rsa = Arc::new(SigningKey::generate(Algorithm::Rs256).unwrap());
    issuer.publish(&[&issuer.key, &rsa]);
    let app = app(issuer.server());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    let zeros = format!("{}.{}", token.rsplit_once('.').unwrap().0, b64([0; 64]));
    get_with(&app, "/me", &zeros)
        .await
        .assert_invalid_token(WRONG_SIGNATURE);
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": issuer.key.kid()}).to_string();
    let crossed = sign(&rsa, &header, &issuer.claims().to_string());
    get_with(&app, "/me", &crossed)
        .await
        .assert_invalid_token(WRONG_ALGORITHM);
}

#[tokio::test]
async fn each_signature_algorithm_of_the_issuer_is_accepted() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::EdDsa,
    ] {
        let issuer = Issuer::start().await;
        let key = SigningKey::generate(algorithm).unwrap();
        issuer.publish(&[&key]);
        let header =
            json!({"alg": algorithm.as_str(), "typ": "application/at+jwt", "kid": key.kid()})
                .to_string();
        let token = sign(&key, &header, &issuer.claims().to_string());
        assert_ok(&get_with(&app(issuer.server()), "/me", &token).await);
    }
}

#[tokio::test]
async fn a_symmetric_key_in_the_published_set_is_never_used() {
    let issuer = Issuer::start().await;
    let secret = [7u8; 32];
    issuer.answer_jwks(Answer::Json(
        json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": "s", "k": b64(secret)}]}),
    ));
    let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"s"}"#;
    let token = mac(&secret, header, &issuer.claims().to_string());
    get_with(&app(issuer.server()), "/me", &token)
        .await
        .assert_invalid_token(WRONG_KEY);
}
