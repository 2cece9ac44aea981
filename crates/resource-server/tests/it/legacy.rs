//! The old shared-secret mode: off unless configured, and never a way around the published keys.

use serde_json::{Value, json};
use tokensmith_jose::{HmacKey, Signer};
use tokensmith_resource_server::{ConfigError, ResourceServer};

use crate::issuer::{AUDIENCE, Answer, Issuer, sign};
use crate::protected::{app, assert_ok, get_with};

const SECRET: &str = "5d1f0b8c9a3e47f6b2c8d0e1f2a3b4c5d6e7f8a9";

fn hs256(secret: &str, typ: &str, claims: &Value) -> String {
    Signer::hs256(HmacKey::new(secret.as_bytes()).unwrap(), typ)
        .unwrap()
        .sign(claims)
        .unwrap()
}

fn legacy(issuer: &Issuer) -> ResourceServer {
    issuer
        .builder()
        .legacy_shared_secret(SECRET, "HS256")
        .build()
        .unwrap()
}

#[tokio::test]
async fn shared_secret_tokens_work_only_where_they_are_configured() {
    let issuer = Issuer::start().await;
    let token = hs256(SECRET, "JWT", &issuer.claims());
    get_with(&app(issuer.server()), "/me", &token)
        .await
        .assert_invalid_token("the token is of another type");
    assert_ok(&get_with(&app(legacy(&issuer)), "/me", &token).await);
    let typed = hs256(SECRET, "at+jwt", &issuer.claims());
    get_with(&app(issuer.server()), "/me", &typed)
        .await
        .assert_invalid_token("the token names no known key");
}

#[tokio::test]
async fn shared_secret_tokens_need_no_issuer_that_answers() {
    let issuer = Issuer::start().await;
    issuer.answer_metadata(Answer::Status(500));
    let app = app(legacy(&issuer));
    let token = hs256(SECRET, "JWT", &issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    assert_ok(&get_with(&app, "/me", &token).await);
    assert_eq!(issuer.metadata_hits(), 0);
    assert_eq!(
        get_with(&app, "/me", &issuer.token(&issuer.claims()))
            .await
            .status,
        503
    );
}

#[tokio::test]
async fn beside_a_shared_secret_published_keys_keep_their_rules() {
    let issuer = Issuer::start().await;
    let app = app(legacy(&issuer));
    let good = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &good).await);
    assert_ok(&get_with(&app, "/me", &good).await);
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": issuer.key.kid()}).to_string();
    let untyped = sign(&issuer.key, &header, &issuer.claims().to_string());
    get_with(&app, "/me", &untyped)
        .await
        .assert_invalid_token("the token is of another type");
}

#[tokio::test]
async fn shared_secret_tokens_obey_the_same_claims_and_another_secret_fails() {
    let issuer = Issuer::start().await;
    let app = app(legacy(&issuer));
    let mut claims = issuer.claims();
    claims["aud"] = json!("other");
    let reply = get_with(&app, "/me", &hs256(SECRET, "JWT", &claims)).await;
    reply.assert_invalid_token("the token is for another audience");
    let other = hs256(&SECRET.to_uppercase(), "JWT", &issuer.claims());
    get_with(&app, "/me", &other)
        .await
        .assert_invalid_token("the token signature is wrong");
}

#[tokio::test]
async fn row_030_weak_and_well_known_shared_secrets_are_refused_at_start() {
    let build = |secret: &str, algorithm: &str| {
        ResourceServer::builder("https://as.test", AUDIENCE)
            .legacy_shared_secret(secret, algorithm)
            .build()
    };
    assert!(build(SECRET, "HS256").is_ok());
    for secret in [
        "",
        "secret",
        "random",
        "changeme",
        &SECRET[..31],
        "your-secret-key-change-in-production-1234",
    ] {
        assert!(
            matches!(build(secret, "HS256").unwrap_err(), ConfigError::WeakSecret),
            "{secret}"
        );
    }
    for algorithm in ["none", "RS256", "hs256", "HS512", ""] {
        assert!(
            matches!(
                build(SECRET, algorithm).unwrap_err(),
                ConfigError::LegacyAlgorithm
            ),
            "{algorithm}"
        );
    }
}
