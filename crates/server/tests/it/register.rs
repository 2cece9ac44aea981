//! Registration: the same answer for every address, and nobody gives themselves anything.

use serde_json::{Value, json};
use tokensmith_testkit::{SIGN_IN_PASSWORD, TestServer};

const REGISTER: &str = "/api/auth/register";

fn body(email: &str) -> Value {
    json!({"email": email, "password": SIGN_IN_PASSWORD})
}

#[tokio::test]
async fn a_new_user_may_sign_in_and_owns_the_organization_that_was_named() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let mut new = body("Alice@Example.com");
    new["username"] = json!("alice");
    new["org_name"] = json!("Activity");
    anonymous.post(REGISTER, new).await.expect(201);
    for login in ["alice@example.com", "alice"] {
        let answer = anonymous.login(login, SIGN_IN_PASSWORD).await.expect(200);
        let claims = crate::claims_of(&answer.text("access_token"));
        assert_eq!(claims["email"], "Alice@Example.com");
        assert_eq!(claims["roles"], json!(["owner"]));
        assert_eq!(answer.text("org_id"), claims["org_id"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_known_address_gets_the_answer_of_a_new_one_and_keeps_its_password() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let new = anonymous
        .post(REGISTER, body("new@example.com"))
        .await
        .expect(201);
    for email in [alice.email.as_str(), "ALICE@EXAMPLE.COM"] {
        let mut again = body(email);
        again["password"] = json!("another password");
        again["org_name"] = json!("Mine now");
        let known = anonymous.post(REGISTER, again).await.expect(201);
        assert_eq!(known.body, new.body);
    }
    anonymous
        .login(&alice.email, "another password")
        .await
        .expect(401);
    anonymous
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    assert!(
        !server
            .app()
            .store()
            .organization_name_is_taken("Mine now")
            .await
            .unwrap()
    );
    assert_eq!(server.app().store().users("", 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_taken_username_or_organization_name_is_told_alike_for_known_and_new_addresses() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    alice.creates_organization("Activity").await;
    let anonymous = server.anonymous();
    let mut taken = body("taken@example.com");
    taken["username"] = json!("Taken");
    anonymous.post(REGISTER, taken).await.expect(201);
    for (member, value) in [("username", "tAKEN"), ("org_name", " ACTIVITY ")] {
        let mut answers = Vec::new();
        for email in [alice.email.as_str(), "new@example.com"] {
            let mut new = body(email);
            new[member] = json!(value);
            answers.push(anonymous.post(REGISTER, new).await.expect_problem(409).body);
        }
        assert_eq!(answers[0], answers[1]);
    }
    anonymous
        .login("new@example.com", SIGN_IN_PASSWORD)
        .await
        .expect(401);
}

#[tokio::test]
async fn row_275_nobody_gives_themselves_a_role_an_id_or_a_proved_address() {
    let server = TestServer::start().await;
    let mut new = body("mallory@example.com");
    for (member, value) in [
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("is_admin", json!(true)),
        ("is_active", json!(true)),
        ("id", json!("01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f")),
        ("org_id", json!("01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f")),
        ("email_verified_at", json!("2026-01-01T00:00:00Z")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("scopes", json!(["admin"])),
    ] {
        new[member] = value;
    }
    server.anonymous().post(REGISTER, new).await.expect(201);
    let user = server
        .app()
        .store()
        .user_by_login("mallory@example.com")
        .await
        .unwrap()
        .unwrap();
    assert!(user.roles.is_empty() && user.email_verified_at.is_none());
    assert_ne!(user.id.as_str(), "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f");
    assert_eq!(user.created_at, server.now());
}

#[tokio::test]
async fn what_is_no_address_no_username_or_too_short_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let with = |member: &str, value: Value| {
        let mut new = body("a@example.com");
        new[member] = value;
        new
    };
    for bad in [
        with("email", json!("not-an-address")),
        with("email", json!("a\u{0}@example.com")),
        with("email", json!(format!("{}@example.com", "a".repeat(250)))),
        with("email", json!("a@example.com\r\nBcc: all@example.com")),
        with("password", json!("1234567")),
        with("password", json!("p".repeat(129))),
        with("password", json!(12_345_678)),
        with("username", json!("a@b.example")),
        with("username", json!("a b")),
        with("username", json!("")),
        with("org_name", json!("   ")),
        with("org_name", json!("a\u{0}b")),
        json!({"email": "a@example.com"}),
        json!({}),
    ] {
        anonymous.post(REGISTER, bad).await.expect_problem(422);
    }
    assert!(server.app().store().users("", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_null_username_is_none() {
    let server = TestServer::start().await;
    let mut new = body("a@example.com");
    (new["username"], new["org_name"]) = (Value::Null, Value::Null);
    server.anonymous().post(REGISTER, new).await.expect(201);
}
