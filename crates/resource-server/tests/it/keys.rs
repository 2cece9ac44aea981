//! Fetching and keeping the issuer's keys: one flight, background renewal, bounded storms, and a hostile or absent issuer.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_resource_server::{ConfigError, ResourceServer};

use crate::issuer::{AUDIENCE, Answer, Issuer, jwks, sign};
use crate::protected::{app, assert_ok, get_with};

const UNAVAILABLE: &str = "the issuer's keys are not available";

fn token_of(key: &SigningKey, issuer: &Issuer) -> String {
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": key.kid()}).to_string();
    sign(key, &header, &issuer.claims().to_string())
}

#[tokio::test]
async fn a_thousand_first_requests_share_one_fetch() {
    let issuer = Issuer::start().await;
    issuer.delay(Duration::from_millis(100));
    let app = app(issuer
        .builder()
        .key_fetch_interval(Duration::from_secs(60))
        .build()
        .unwrap());
    let token = issuer.token(&issuer.claims());
    for reply in join_all((0..1000).map(|_| get_with(&app, "/me", &token))).await {
        assert_ok(&reply);
    }
    assert_eq!((issuer.metadata_hits(), issuer.jwks_hits()), (1, 1));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_fetch_of_the_others() {
    let issuer = Issuer::start().await;
    issuer.delay(Duration::from_millis(200));
    let server = issuer
        .builder()
        .key_fetch_interval(Duration::from_secs(60))
        .build()
        .unwrap();
    let token = issuer.token(&issuer.claims());
    let cancelled = tokio::time::timeout(Duration::from_millis(50), server.verify(&token)).await;
    assert!(cancelled.is_err());
    assert!(server.verify(&token).await.is_ok());
    assert_eq!(issuer.jwks_hits(), 1);
}

#[tokio::test]
async fn a_storm_of_unknown_key_ids_costs_one_fetch_an_interval() {
    let issuer = Issuer::start().await;
    let app = app(issuer
        .builder()
        .key_fetch_interval(Duration::from_secs(60))
        .build()
        .unwrap());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let forged: Vec<String> = (0..200)
        .map(|n| {
            let header =
                json!({"alg": "ES256", "typ": "at+jwt", "kid": format!("unknown-{n}")}).to_string();
            sign(&stranger, &header, &issuer.claims().to_string())
        })
        .collect();
    for reply in join_all(forged.iter().map(|token| get_with(&app, "/me", token))).await {
        reply.assert_invalid_token("the token names no known key");
    }
    assert_eq!(issuer.jwks_hits(), 1);
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
}

#[tokio::test]
async fn a_storm_after_the_interval_costs_exactly_one_more_fetch() {
    let issuer = Issuer::start().await;
    let interval = Duration::from_secs(1);
    let app = app(issuer
        .builder()
        .key_fetch_interval(interval)
        .build()
        .unwrap());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    tokio::time::sleep(interval).await;
    let stranger = token_of(&SigningKey::generate(Algorithm::Es256).unwrap(), &issuer);
    issuer.delay(Duration::from_millis(20));
    join_all((0..100).map(|_| get_with(&app, "/me", &stranger))).await;
    assert_eq!(issuer.jwks_hits(), 2);
}

#[tokio::test]
async fn all_tokens_of_a_new_key_are_accepted_though_they_arrive_together() {
    let issuer = Issuer::start().await;
    let interval = Duration::from_millis(50);
    let app = app(issuer
        .builder()
        .key_fetch_interval(interval)
        .build()
        .unwrap());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    tokio::time::sleep(interval).await;
    let successor = SigningKey::generate(Algorithm::Es256).unwrap();
    issuer.publish(&[&issuer.key, &successor]);
    issuer.delay(Duration::from_millis(30));
    let token = token_of(&successor, &issuer);
    for reply in join_all((0..100).map(|_| get_with(&app, "/me", &token))).await {
        assert_ok(&reply);
    }
    assert_eq!(issuer.jwks_hits(), 2);
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
}

#[tokio::test]
async fn an_ageing_set_serves_while_it_is_fetched_again() {
    let issuer = Issuer::start().await;
    let fresh = Duration::from_secs(1);
    let app = app(issuer.builder().keys_fresh_for(fresh).build().unwrap());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    tokio::time::sleep(fresh).await;
    issuer.delay(Duration::from_secs(4));
    let started = std::time::Instant::now();
    assert_ok(&get_with(&app, "/me", &token).await);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "the request waited for the fetch"
    );
    for _ in 0..100 {
        if issuer.metadata_hits() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing was fetched in the background");
}

#[tokio::test]
async fn keys_outlive_an_absent_issuer_for_a_bounded_time() {
    let issuer = Issuer::start().await;
    let usable = Duration::from_secs(2);
    let builder = issuer
        .builder()
        .keys_fresh_for(Duration::from_millis(50))
        .keys_usable_for(usable);
    let app = app(builder.build().unwrap());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    issuer.answer_jwks(Answer::Status(500));
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_ok(&get_with(&app, "/me", &token).await);
    tokio::time::sleep(usable).await;
    let reply = get_with(&app, "/me", &token).await;
    assert_eq!(
        (reply.status, reply.retry_after.as_deref()),
        (503, Some("5"))
    );
    assert_eq!(reply.json()["detail"], UNAVAILABLE);
    issuer.publish(&[&issuer.key]);
    assert_ok(&get_with(&app, "/me", &token).await);
}

#[tokio::test]
async fn answers_that_are_no_key_set_are_not_used_and_recovery_needs_no_restart() {
    let issuer = Issuer::start().await;
    let server = issuer.server();
    let app = app(server.clone());
    let token = issuer.token(&issuer.claims());
    let key = jwks(&[&issuer.key])["keys"][0].clone();
    let twice = format!(r#"{{"keys":[{key}],"keys":[]}}"#);
    for answer in [
        Answer::Status(404),
        Answer::Status(204),
        Answer::Text("<html>".to_owned()),
        Answer::Text(twice),
        Answer::Json(json!({"keys": [key, key]})),
        Answer::Json(json!({"keys": vec![key.clone(); 65]})),
        Answer::Text(format!(
            "{{\"keys\":[{key}],\"x\":\"{}\"}}",
            "x".repeat(1024 * 1024)
        )),
    ] {
        issuer.answer_jwks(answer);
        assert_eq!(get_with(&app, "/me", &token).await.status, 503);
        assert!(!server.is_ready().await);
    }
    issuer.publish(&[&issuer.key]);
    assert_ok(&get_with(&app, "/me", &token).await);
    assert!(server.is_ready().await);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (issuer, evil) = (Issuer::start().await, Issuer::start().await);
    let app = app(issuer.server());
    let token = issuer.token(&issuer.claims());
    issuer.answer_jwks(Answer::Redirect(format!("{}/jwks", evil.url)));
    assert_eq!(get_with(&app, "/me", &token).await.status, 503);
    issuer.answer_metadata(Answer::Redirect(format!(
        "{}/.well-known/oauth-authorization-server",
        evil.url
    )));
    assert_eq!(get_with(&app, "/me", &token).await.status, 503);
    assert_eq!((evil.metadata_hits(), evil.jwks_hits()), (0, 0));
}

#[tokio::test]
async fn metadata_of_another_issuer_or_with_keys_over_plain_http_is_not_used() {
    let (issuer, evil) = (Issuer::start().await, Issuer::start().await);
    let app = app(issuer.server());
    let token = issuer.token(&issuer.claims());
    // Reaches the issuer, but does not look like this machine.
    let not_loopback = format!("{}/jwks", issuer.url.replace("127.0.0.1", "0.0.0.0"));
    for metadata in [
        json!({"issuer": evil.url, "jwks_uri": format!("{}/jwks", evil.url)}),
        json!({"issuer": format!("{}/", issuer.url), "jwks_uri": format!("{}/jwks", issuer.url)}),
        json!({"issuer": [issuer.url], "jwks_uri": format!("{}/jwks", issuer.url)}),
        json!({"issuer": issuer.url, "jwks_uri": not_loopback}),
        json!({"issuer": issuer.url, "jwks_uri": "file:///etc/passwd"}),
        json!({"issuer": issuer.url}),
    ] {
        issuer.answer_metadata(Answer::Json(metadata));
        assert_eq!(get_with(&app, "/me", &token).await.status, 503);
    }
    assert_eq!((issuer.jwks_hits(), evil.jwks_hits()), (0, 0));
    issuer.answer_metadata(Answer::Json(
        json!({"issuer": issuer.url, "jwks_uri": not_loopback}),
    ));
    let lenient = crate::protected::app(issuer.builder().allow_plain_http().build().unwrap());
    assert_ok(&get_with(&lenient, "/me", &token).await);
}

#[tokio::test]
async fn an_issuer_that_never_answers_is_given_up_after_five_seconds() {
    let issuer = Issuer::start().await;
    issuer.answer_jwks(Answer::Never);
    let started = std::time::Instant::now();
    let reply = get_with(
        &app(issuer.server()),
        "/me",
        &issuer.token(&issuer.claims()),
    )
    .await;
    assert_eq!(reply.status, 503);
    assert!(
        (4..8).contains(&started.elapsed().as_secs()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_configured_address_or_key_set_needs_no_metadata() {
    let issuer = Issuer::start().await;
    let token = issuer.token(&issuer.claims());
    let by_address = issuer
        .builder()
        .jwks_uri(format!("{}/jwks", issuer.url))
        .build()
        .unwrap();
    assert_ok(&get_with(&app(by_address), "/me", &token).await);
    assert_eq!((issuer.metadata_hits(), issuer.jwks_hits()), (0, 1));
    let fixed = issuer
        .builder()
        .jwk_set(serde_json::from_value(jwks(&[&issuer.key])).unwrap())
        .build()
        .unwrap();
    assert_ok(&get_with(&app(fixed), "/me", &token).await);
    assert_eq!((issuer.metadata_hits(), issuer.jwks_hits()), (0, 1));
}

#[tokio::test]
async fn settings_that_cannot_be_safe_are_refused_at_start() {
    let refusal = |issuer: &str, audience: &str| {
        ResourceServer::builder(issuer, audience)
            .build()
            .unwrap_err()
    };
    assert!(matches!(refusal("", AUDIENCE), ConfigError::Identifier));
    assert!(matches!(
        refusal("https://as.test", ""),
        ConfigError::Identifier
    ));
    for issuer in [
        "http://as.test",
        "as.test",
        "file:///issuer",
        "https://as.test/#fragment",
    ] {
        assert!(
            matches!(refusal(issuer, AUDIENCE), ConfigError::Address(_)),
            "{issuer}"
        );
    }
    let by_address =
        ResourceServer::builder("https://as.test", AUDIENCE).jwks_uri("http://keys.test/jwks");
    assert!(matches!(
        by_address.build().unwrap_err(),
        ConfigError::Address(_)
    ));
    let allowed = ResourceServer::builder("http://auth:8000", AUDIENCE).allow_plain_http();
    assert!(allowed.build().is_ok());
}
