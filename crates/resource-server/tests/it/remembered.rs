//! Tokens seen before: what is remembered, what is decided anew, and what ends a memory.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_resource_server::{AccessToken, Revocations};

use crate::issuer::{Issuer, NOW};
use crate::protected::{app, assert_ok, get_with};

#[derive(Default)]
struct Revoked(Mutex<HashSet<String>>);

impl Revocations for Revoked {
    fn is_revoked(&self, token: &AccessToken) -> bool {
        token
            .jti
            .as_ref()
            .is_some_and(|jti| self.0.lock().unwrap().contains(jti))
    }
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_expiry() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    issuer.now.store(NOW + 899, Ordering::Relaxed);
    assert_ok(&get_with(&app, "/me", &token).await);
    issuer.now.store(NOW + 900, Ordering::Relaxed);
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token("the token is expired");
}

#[tokio::test]
async fn row_147_a_revoked_token_is_refused_at_the_next_request_though_it_was_accepted_before() {
    let issuer = Issuer::start().await;
    let revoked = Arc::new(Revoked::default());
    let app = app(issuer
        .builder()
        .revocations(revoked.clone())
        .build()
        .unwrap());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    revoked.0.lock().unwrap().insert("token-1".to_owned());
    get_with(&app, "/me", &token)
        .await
        .assert_invalid_token("the token was revoked");
    let other = issuer.token(&issuer.service_claims("groups:read"));
    assert_ok(&get_with(&app, "/me", &other).await);
}

#[tokio::test]
async fn what_a_caller_may_do_is_decided_at_every_request() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let token = issuer.token(&issuer.service_claims("groups:read"));
    for _ in 0..2 {
        assert_ok(&get_with(&app, "/groups", &token).await);
        assert_eq!(get_with(&app, "/role", &token).await.status, 403);
    }
}

#[tokio::test]
async fn tokens_that_differ_only_in_their_last_character_are_not_confused() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let near = format!("{}{last}", &token[..token.len() - 1]);
        let accepted = get_with(&app, "/me", &near).await.status == 200;
        assert_eq!(accepted, near == token, "{last}");
    }
}

#[tokio::test]
async fn two_servers_with_other_audiences_do_not_share_what_they_know() {
    let issuer = Issuer::start().await;
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app(issuer.server()), "/me", &token).await);
    let other =
        tokensmith_resource_server::ResourceServer::builder(&issuer.url, "https://other.test")
            .build()
            .unwrap();
    let now = get_with(&app(other), "/me", &token).await;
    now.assert_invalid_token("the token is for another audience");
}

#[tokio::test]
async fn a_refused_token_is_judged_anew_when_it_becomes_valid() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let token = issuer.token_with("nbf", Some(json!(NOW + 120)));
    assert_eq!(get_with(&app, "/me", &token).await.status, 401);
    issuer.now.store(NOW + 60, Ordering::Relaxed);
    assert_ok(&get_with(&app, "/me", &token).await);
}

#[tokio::test]
async fn a_changed_key_set_ends_the_memory_of_tokens_whose_key_is_gone() {
    let issuer = Issuer::start().await;
    let fresh = Duration::from_millis(100);
    let app = app(issuer.builder().keys_fresh_for(fresh).build().unwrap());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &token).await);
    // Another key joins: the token still verifies.
    let successor = SigningKey::generate(Algorithm::Es256).unwrap();
    issuer.publish(&[&issuer.key, &successor]);
    tokio::time::sleep(fresh * 2).await;
    assert_ok(&get_with(&app, "/me", &token).await);
    // The first key leaves: the token does not.
    issuer.publish(&[&successor]);
    tokio::time::sleep(fresh * 2).await;
    assert_eq!(get_with(&app, "/me", &token).await.status, 401);
}
