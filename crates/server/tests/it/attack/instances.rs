//! Row 030: two servers that were started with nothing but an empty directory share no secret.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tokensmith_server::{config::MasterKey, entropy::Entropy};
use tokensmith_testkit::TestServer;

use super::assert_alive;

/// A server with a master key of its own, made as at the first start of `dev`.
async fn fresh(directory: &std::path::Path) -> TestServer {
    let path = directory.join("master.key");
    let key = MasterKey::kept_in(&path, || Entropy::default().bytes()).unwrap();
    TestServer::start_with(|config| config.master_key = Some(key)).await
}

async fn key_ids(server: &TestServer) -> BTreeSet<String> {
    let anonymous = server.anonymous();
    let jwks = anonymous.request(Method::GET, "/.well-known/jwks.json");
    let jwks = anonymous.send(jwks).await.expect(200).json();
    let keys = jwks["keys"].as_array().unwrap().clone();
    let parts = |key: Value| {
        [
            key["kid"].to_string(),
            key["x"].to_string(),
            key["y"].to_string(),
        ]
    };
    keys.into_iter().flat_map(parts).collect()
}

#[tokio::test]
async fn row_030_two_instances_share_no_key_and_take_no_token_of_each_other() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = fresh(directories[0].path()).await;
    let other = fresh(directories[1].path()).await;
    assert!(key_ids(&one).await.is_disjoint(&key_ids(&other).await));
    let master = |server: &TestServer| *server.app().config().master_key.as_ref().unwrap().expose();
    assert_ne!(master(&one), master(&other));
    assert_ne!(
        one.app().keys().sealing().id(),
        other.app().keys().sealing().id()
    );
    assert_ne!(
        one.app().refresh_root().id(),
        other.app().refresh_root().id()
    );
    let (alice, stranger) = (one.user("alice").await, other.user("alice").await);
    alice.get("/api/auth/organizations").await.expect(200);
    let anonymous = other.anonymous();
    let request = anonymous.request(Method::GET, "/api/auth/organizations");
    anonymous
        .send(request.bearer_auth(&alice.access_token))
        .await
        .expect_problem(401);
    anonymous
        .renew(&alice.refresh_token, &[])
        .await
        .expect_oauth_error(400, "invalid_grant");
    anonymous
        .renew(&stranger.refresh_token, &[])
        .await
        .expect(200);
    assert_alive(&one).await;
    assert_alive(&other).await;
}
