//! Sessions as their user sees them, and the older account service's paths for them.

use std::time::Duration;

use reqwest::{Method, header::USER_AGENT};
use serde_json::{Value, json};
use tokensmith_testkit::{Answer, SIGN_IN_PASSWORD, TestServer, User};

use crate::{attack::audited, claims_of};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

async fn account_login(server: &TestServer, username: &str) -> Answer {
    let body = json!({"username": username, "password": SIGN_IN_PASSWORD});
    server.anonymous().post("/api/oauth2/login", body).await
}

async fn from_firefox(server: &TestServer, user: &User) -> Answer {
    let anonymous = server.anonymous();
    let request = anonymous
        .request(Method::POST, "/api/auth/login")
        .header(USER_AGENT, FIREFOX)
        .json(&json!({"email": user.email, "password": SIGN_IN_PASSWORD}));
    anonymous.send(request).await.expect(200)
}

fn members(json: &Value) -> Vec<&str> {
    json.as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

async fn sessions(user: &User) -> Vec<Value> {
    let answer = user.get("/api/oauth2/sessions").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn the_older_sign_in_and_renewal_answer_with_tokens_and_the_user() {
    let server = TestServer::start().await;
    let alice = server.user_with_roles("alice", &["admin"]).await;
    let first = account_login(&server, &alice.email).await.expect(200);
    let body = json!({"refresh_token": first.text("refresh_token")});
    let second = server.anonymous().post("/api/oauth2/refresh", body).await;
    let second = second.expect(200);
    for answer in [&first, &second] {
        let json = answer.json();
        for promised in [
            "access_token",
            "refresh_token",
            "token_type",
            "expires_in",
            "user",
        ] {
            assert!(json.get(promised).is_some(), "{promised}: {json}");
        }
        assert_eq!(
            (&json["token_type"], &json["expires_in"]),
            (&json!("bearer"), &json!(900))
        );
        let user = &json["user"];
        let promised = ["created_at", "email", "id", "is_active", "role", "username"];
        assert_eq!(members(user), promised);
        assert_eq!(
            (&user["id"], &user["email"]),
            (&json!(alice.id), &json!(alice.email))
        );
        assert_eq!(
            (&user["role"], &user["is_active"]),
            (&json!("admin"), &json!(true))
        );
    }
    for member in ["access_token", "refresh_token"] {
        assert_ne!(first.text(member), second.text(member), "{member} is new");
    }
    let wrong = json!({"username": alice.email, "password": "wrong"});
    let refused = server.anonymous().post("/api/oauth2/login", wrong).await;
    refused.expect_problem(401);
    let nothing = json!({"refresh_token": "nothing"});
    let refused = server
        .anonymous()
        .post("/api/oauth2/refresh", nothing)
        .await;
    refused.expect_problem(401);
}

#[tokio::test]
async fn a_session_is_listed_with_its_device_and_the_present_one_is_marked() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    server.advance(Duration::from_secs(60));
    from_firefox(&server, &alice).await;
    let listed = sessions(&alice).await;
    assert_eq!(listed.len(), 2);
    let (firefox, own) = (&listed[0], &listed[1]);
    assert_eq!(firefox["device"], "Firefox on Linux");
    assert_eq!(
        (&firefox["user_agent"], &firefox["ip"]),
        (&json!(FIREFOX), &json!("127.0.0.1"))
    );
    assert_eq!(
        (&firefox["current"], &own["current"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&own["acr"], &own["amr"]),
        (&json!("aal1"), &json!(["pwd"]))
    );
    assert_eq!(firefox["token_hash"], firefox["id"]);
    for time in [
        "created_at",
        "last_used_at",
        "expires_at",
        "authenticated_at",
    ] {
        assert!(own[time].as_str().unwrap().ends_with('Z'), "{time}");
    }
    let bob = server.user("bob").await;
    assert_eq!(sessions(&bob).await.len(), 1, "nobody sees another's");
}

#[tokio::test]
async fn row_204_an_ended_session_is_refused_everywhere_and_audited() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let other = alice.signed_in_again(&server).await;
    let bob = server.user("bob").await;
    let id = claims_of(&other.access_token)["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/oauth2/sessions/{id}");
    other.get("/api/oauth2/sessions").await.expect(200);
    bob.delete(&path).await.expect_problem(404);
    other.get("/api/oauth2/sessions").await.expect(200);
    alice.delete(&path).await.expect(200);
    other.get("/api/oauth2/sessions").await.expect_problem(401);
    let body = json!({"refresh_token": other.refresh_token});
    server
        .anonymous()
        .post("/api/auth/refresh", body)
        .await
        .expect_problem(401);
    alice.delete(&path).await.expect_problem(404);
    alice
        .delete("/api/oauth2/sessions/not-an-id")
        .await
        .expect_problem(404);
    let lines = audited(&server, "session_ended").await;
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["grant_id"], &lines[0]["reason"]),
        (&json!(id), &json!("ended_by_user"))
    );
    let feed = server.app().store().revocations_since(0, 10).await.unwrap();
    assert!(feed.iter().any(|line| line.subject == id), "{feed:?}");
    // Signing out ends the session at hand like any other.
    alice
        .post("/api/oauth2/logout", json!({}))
        .await
        .expect(200);
    alice.get("/api/oauth2/sessions").await.expect_problem(401);
}

#[tokio::test]
async fn all_other_sessions_end_at_once_and_the_present_one_goes_on() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (second, third) = (
        alice.signed_in_again(&server).await,
        alice.signed_in_again(&server).await,
    );
    let ended = alice.delete("/api/auth/sessions").await.expect(200).json();
    assert_eq!(
        (&ended["ended_sessions"], &ended["revoked_tokens"]),
        (&json!(2), &json!(2))
    );
    for user in [second, third] {
        user.get("/api/auth/sessions").await.expect_problem(401);
    }
    assert_eq!(sessions(&alice).await.len(), 1);
}

#[tokio::test]
async fn the_older_sign_out_ends_every_token_of_the_user() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let other = alice.signed_in_again(&server).await;
    let answer = alice
        .post("/api/oauth2/logout", json!({}))
        .await
        .expect(200);
    assert_eq!(members(&answer.json()), ["message", "revoked_tokens"]);
    assert_eq!(answer.json()["revoked_tokens"], 2);
    for user in [&alice, &other] {
        user.get("/api/oauth2/sessions").await.expect_problem(401);
        let body = json!({"refresh_token": user.refresh_token});
        server
            .anonymous()
            .post("/api/oauth2/refresh", body)
            .await
            .expect_problem(401);
    }
}

#[tokio::test]
async fn who_holds_a_token_of_a_sign_in_may_end_it_and_learns_whether_it_did() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let bob = server.user("bob").await;
    let service = server.service("service", "groups:read").await;
    let revoke = async |token: &str| {
        let answer = server
            .anonymous()
            .post("/api/oauth2/revoke", json!({"token": token}))
            .await;
        answer.expect(200).json()
    };
    assert_eq!(revoke(&alice.access_token).await, json!({"revoked": true}));
    alice.get("/api/oauth2/sessions").await.expect_problem(401);
    assert_eq!(revoke(&alice.access_token).await, json!({"revoked": false}));
    assert_eq!(revoke(&bob.refresh_token).await, json!({"revoked": true}));
    bob.get("/api/oauth2/sessions").await.expect_problem(401);
    assert_eq!(
        revoke(&service.access_token).await,
        json!({"revoked": false}),
        "not of a sign-in"
    );
    service.get("/api/auth/organizations").await.expect(403);
    assert_eq!(revoke("nothing").await, json!({"revoked": false}));
}

#[tokio::test]
async fn a_session_that_is_not_used_for_long_is_over() {
    let server = TestServer::start_with(|config| {
        config.session.idle_lifetime = Some(Duration::from_secs(600));
        config.session.lifetime = Some(Duration::from_secs(1500));
    });
    let server = server.await;
    let (used, resting) = (server.user("used").await, server.user("resting").await);
    server.advance(Duration::from_secs(500));
    let renew = async |token: String| {
        let body = json!({"refresh_token": token});
        server.anonymous().post("/api/auth/refresh", body).await
    };
    let renewed = renew(used.refresh_token.clone()).await.expect(200);
    server.advance(Duration::from_secs(200));
    resting.get("/api/auth/sessions").await.expect_problem(401);
    renew(resting.refresh_token.clone())
        .await
        .expect_problem(401);
    let renewed = renew(renewed.text("refresh_token")).await.expect(200);
    server.advance(Duration::from_secs(500));
    let renewed = renew(renewed.text("refresh_token")).await.expect(200);
    server.advance(Duration::from_secs(400));
    renew(renewed.text("refresh_token"))
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn tokens_and_introspection_tell_how_and_when_the_user_signed_in() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let claims = claims_of(&alice.access_token);
    assert_eq!(
        (&claims["acr"], &claims["amr"]),
        (&json!("aal1"), &json!(["pwd"]))
    );
    assert_eq!(claims["auth_time"], claims["iat"]);
    server.advance(Duration::from_secs(120));
    let body = json!({"refresh_token": alice.refresh_token});
    let renewed = server
        .anonymous()
        .post("/api/auth/refresh", body)
        .await
        .expect(200);
    let renewed = claims_of(&renewed.text("access_token"));
    assert_eq!(
        renewed["auth_time"], claims["auth_time"],
        "a renewal is no sign-in"
    );
    assert_ne!(renewed["iat"], claims["iat"]);
    let service = server.service("service", "openid").await;
    let claims = claims_of(&service.access_token);
    assert!(claims.get("acr").is_none() && claims.get("auth_time").is_none());
}
