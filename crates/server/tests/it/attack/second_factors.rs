//! Theme 15: a sign-in that needs a second factor ends with one or not at all, whichever path it takes.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_testkit::{Answer, AuthenticatorApp, SIGN_IN_PASSWORD, TestServer, User};

use super::{assert_alive, assert_refuses, audited};

/// Sets up an authenticator app for a signed-in user, and gives it with the recovery codes.
pub(crate) async fn with_app(server: &TestServer, user: &User) -> (AuthenticatorApp, Vec<String>) {
    let setup = user
        .post("/api/auth/2fa/setup", json!({}))
        .await
        .expect(200);
    let app = AuthenticatorApp::typed(&setup.text("secret"));
    let body = json!({"code": app.code(server.now())});
    let verified = user.post("/api/auth/2fa/verify", body).await.expect(200);
    let codes = verified.json()["recovery_codes"].clone();
    // The next code is of another step.
    server.advance(Duration::from_secs(30));
    (app, serde_json::from_value(codes).unwrap())
}

/// Signs in by password and gives what the second half is named by.
pub(crate) async fn half_signed_in(server: &TestServer, email: &str) -> String {
    let half = server
        .anonymous()
        .login(email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    assert_eq!(half.json()["requires_code"], true);
    half.text("pre_auth_token")
}

pub(crate) async fn second_half(server: &TestServer, token: &str, code: &str) -> Answer {
    let body = json!({"pre_auth_token": token, "code": code});
    server.anonymous().post("/api/auth/login/2fa", body).await
}

async fn signed_in(server: &TestServer, user: &User, code: &str) -> Answer {
    let token = half_signed_in(server, &user.email).await;
    second_half(server, &token, code).await
}

#[tokio::test]
async fn row_245_half_a_sign_in_opens_nothing() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, _) = with_app(&server, &alice).await;
    let half = half_signed_in(&server, &alice.email).await;
    let sessions = server
        .app()
        .store()
        .sessions_of(&alice.id, server.now(), 10);
    assert_eq!(sessions.await.unwrap().len(), 1, "no session was opened");
    let anonymous = server.anonymous();
    for (method, path) in [
        (Method::GET, "/api/auth/sessions"),
        (Method::GET, "/api/oauth2/sessions"),
        (Method::GET, "/api/auth/organizations"),
        (Method::POST, "/api/auth/2fa/disable"),
        (Method::POST, "/api/auth/2fa/setup"),
        (Method::POST, "/api/auth/passkeys/options"),
        (Method::POST, "/api/auth/2fa/recovery-codes"),
    ] {
        let request = anonymous.request(method, path).bearer_auth(&half);
        let refused = anonymous.send(request).await.expect(401);
        assert_refuses(&refused);
    }
    anonymous
        .renew(&half, &[])
        .await
        .expect_oauth_error(400, "invalid_grant");
    let body = json!({"refresh_token": half});
    anonymous.post("/api/auth/refresh", body).await.expect(401);
    // Whose sign-in waits may set up nothing beside what there is.
    let body = json!({"pre_auth_token": half});
    anonymous
        .post("/api/auth/login/2fa/setup", body)
        .await
        .expect_problem(409);
    second_half(&server, &half, &app.code(server.now()))
        .await
        .expect(200);
    second_half(&server, &half, "123456")
        .await
        .expect_problem(401);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_246_every_way_to_sign_in_asks_for_the_second_factor() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, _) = with_app(&server, &alice).await;
    let anonymous = server.anonymous();
    for (path, name) in [
        ("/auth/login", "email"),
        ("/api/auth/login", "email"),
        ("/api/oauth2/login", "username"),
    ] {
        let body = |code: Option<&str>| json!({name: alice.email, "password": SIGN_IN_PASSWORD, "code": code});
        let half = anonymous.post(path, body(None)).await.expect(200).json();
        assert!(half.get("access_token").is_none(), "{path}");
        assert_eq!(half["methods"], json!(["totp", "recovery_code"]), "{path}");
        anonymous
            .post(path, body(Some("000000")))
            .await
            .expect_problem(401);
        let whole = anonymous
            .post(path, body(Some(&app.code(server.now()))))
            .await
            .expect(200);
        assert!(whole.json()["access_token"].is_string(), "{path}");
        server.advance(Duration::from_secs(30));
    }
    // Paths for clients take no person's password.
    let form = [
        ("username", alice.email.as_str()),
        ("password", SIGN_IN_PASSWORD),
    ];
    anonymous.form("/token", &form).await.expect(401);
    let form = [
        ("grant_type", "password"),
        ("username", &alice.email),
        ("password", SIGN_IN_PASSWORD),
    ];
    assert_refuses(&anonymous.form("/oauth/token", &form).await);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_247_a_code_is_good_once_also_on_two_sign_ins_at_the_same_time() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, _) = with_app(&server, &alice).await;
    let code = app.code(server.now());
    signed_in(&server, &alice, &code).await.expect(200);
    signed_in(&server, &alice, &code).await.expect_problem(401);
    assert_eq!(audited(&server, "mfa.replay").await.len(), 1);
    server.advance(Duration::from_secs(30));
    let code = app.code(server.now());
    let (one, other) = (
        half_signed_in(&server, &alice.email).await,
        half_signed_in(&server, &alice.email).await,
    );
    let answers = tokio::join!(
        second_half(&server, &one, &code),
        second_half(&server, &other, &code)
    );
    let mut statuses = [answers.0.status, answers.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    // An older step is not good after a newer one, within the window or not.
    server.advance(Duration::from_secs(30));
    let older = app.code(server.now());
    server.advance(Duration::from_secs(30));
    signed_in(&server, &alice, &app.code(server.now()))
        .await
        .expect(200);
    signed_in(&server, &alice, &older).await.expect_problem(401);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_249_wrong_codes_cost_time_that_no_new_sign_in_takes_back() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, codes) = with_app(&server, &alice).await;
    let statuses = async |tries: usize| {
        let half = half_signed_in(&server, &alice.email).await;
        let mut statuses = Vec::new();
        for _ in 0..tries {
            statuses.push(second_half(&server, &half, "000000").await.status);
        }
        statuses
    };
    assert_eq!(
        statuses(10).await,
        [401, 401, 401, 401, 401, 429, 429, 429, 429, 429]
    );
    assert_eq!(
        statuses(10).await,
        [429; 10],
        "a new sign-in changes nothing"
    );
    let right = signed_in(&server, &alice, &app.code(server.now()))
        .await
        .expect_problem(429);
    assert_eq!(right.header("retry-after"), Some("30"));
    signed_in(&server, &alice, &codes[0])
        .await
        .expect_problem(429);
    assert_eq!(audited(&server, "mfa.blocked").await.len(), 1);
    let mail = server.app().store().mail_queue().await.unwrap();
    assert!(mail.waiting > 0 || server.app().mailer().screen().is_some());
    server.advance(Duration::from_secs(30));
    assert_eq!(
        statuses(2).await,
        [401, 429],
        "one more, and the wait doubles"
    );
    server.advance(Duration::from_secs(60));
    signed_in(&server, &alice, &app.code(server.now()))
        .await
        .expect(200);
    server.advance(Duration::from_secs(30));
    assert_eq!(statuses(1).await, [401], "the right code ended the count");
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_250_a_recovery_code_is_good_once_and_for_its_user_alone() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let (_, codes) = with_app(&server, &alice).await;
    let (_, of_bob) = with_app(&server, &bob).await;
    assert_eq!(codes.len(), 10);
    let remaining = async || {
        let factors = server.app().store().second_factors(&alice.id, None).await;
        factors.unwrap().recovery_codes
    };
    assert_eq!(remaining().await, 10);
    signed_in(&server, &alice, &of_bob[0])
        .await
        .expect_problem(401);
    let used = signed_in(&server, &alice, &codes[0]).await.expect(200);
    assert_eq!(remaining().await, 9);
    signed_in(&server, &alice, &codes[0])
        .await
        .expect_problem(401);
    assert_eq!(remaining().await, 9);
    let half = [
        half_signed_in(&server, &alice.email).await,
        half_signed_in(&server, &alice.email).await,
    ];
    let (one, other) = tokio::join!(
        second_half(&server, &half[0], &codes[1]),
        second_half(&server, &half[1], &codes[1])
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "one of two at the same time");
    let database = std::fs::read(server.directory().join("tokensmith.db")).unwrap();
    let plain = codes[2].replace('-', "");
    assert!(
        !database
            .windows(plain.len())
            .any(|bytes| bytes == plain.as_bytes())
    );
    assert_eq!(audited(&server, "mfa.recovery_code_used").await.len(), 2);
    assert_eq!(used.json()["user_id"], json!(alice.id));
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_252_factors_change_only_after_a_full_sign_in_of_just_now() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let old = alice.signed_in_again(&server).await;
    let (app, _) = with_app(&server, &alice).await;
    let asks = [
        (Method::POST, "/api/auth/2fa/disable"),
        (Method::POST, "/api/auth/2fa/setup"),
        (Method::GET, "/api/auth/2fa/recovery-codes"),
        (Method::POST, "/api/auth/2fa/recovery-codes"),
        (Method::POST, "/api/auth/passkeys/options"),
        (
            Method::DELETE,
            "/api/auth/passkeys/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f",
        ),
    ];
    let refused = async |user: &User| {
        for (method, path) in asks.clone() {
            let answer = user
                .send(user.request(method, path))
                .await
                .expect_problem(403);
            assert_eq!(
                answer.json()["type"],
                "urn:tokensmith:problem:reauth_required",
                "{path}"
            );
        }
    };
    // Signed in by password alone, however recently.
    refused(&old).await;
    // Signed in by both, a while ago.
    server.advance(Duration::from_secs(901));
    let alice = alice.renewed().await;
    refused(&alice).await;
    let body = |code: Option<String>| json!({"password": SIGN_IN_PASSWORD, "code": code});
    let path = "/api/auth/reauthenticate";
    alice.post(path, body(None)).await.expect_problem(401);
    alice
        .post(
            path,
            json!({"password": "wrong", "code": app.code(server.now())}),
        )
        .await
        .expect_problem(401);
    refused(&alice).await;
    alice
        .post(path, body(Some(app.code(server.now()))))
        .await
        .expect(200);
    alice.get("/api/auth/2fa/recovery-codes").await.expect(200);
    alice
        .post("/api/auth/2fa/disable", json!({}))
        .await
        .expect(200);
    server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200)
        .text("access_token");
    assert_eq!(factor_lines(&server, "mfa.factor_removed").await, ["totp"]);
    assert_alive(&server).await;
}

async fn factor_lines(server: &TestServer, event: &str) -> Vec<String> {
    let lines = audited(server, event).await;
    let factor = |line: &Value| line["factor"].as_str().unwrap().to_owned();
    lines.iter().map(factor).collect()
}

#[tokio::test]
async fn row_224_an_account_that_waits_for_wrong_codes_waits_on_every_path_that_takes_codes() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, _) = with_app(&server, &alice).await;
    let half = half_signed_in(&server, &alice.email).await;
    for _ in 0..5 {
        second_half(&server, &half, "000000")
            .await
            .expect_problem(401);
    }
    let code = app.code(server.now());
    second_half(&server, &half, &code).await.expect_problem(429);
    for (path, name) in [
        ("/api/auth/login", "email"),
        ("/auth/login", "email"),
        ("/api/oauth2/login", "username"),
    ] {
        let body = json!({name: alice.email, "password": SIGN_IN_PASSWORD, "code": code});
        server
            .anonymous()
            .post(path, body)
            .await
            .expect_problem(429);
    }
    let body = json!({"password": SIGN_IN_PASSWORD, "code": code});
    alice
        .post("/api/auth/reauthenticate", body)
        .await
        .expect_problem(429);
    // Who is signed in already goes on.
    alice.get("/api/auth/sessions").await.expect(200);
    assert_alive(&server).await;
}
