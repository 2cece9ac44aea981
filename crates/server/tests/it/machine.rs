//! The older machine-to-machine service, line by line of what its clients were promised.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_jose::{HmacKey, Signer};
use tokensmith_oauth2::ClientId;
use tokensmith_server::{
    config::{Setting, SharedSecret},
    demo,
    token::{digest_of_jti, digest_of_token},
};
use tokensmith_store::{
    AuditContext, ChangeClient, ClientChange, EndFamilies, FamilyScope, ImportRefreshFamily,
};
use tokensmith_testkit::{Answer, TestServer};

use crate::claims_of;

async fn with_demo_data() -> TestServer {
    let server = TestServer::start().await;
    demo::seed(server.app()).await.unwrap();
    server
}

async fn sign_in(server: &TestServer, id: &str, secret: &str) -> Answer {
    let form = [("username", id), ("password", secret)];
    server.anonymous().form("/token", &form).await
}

async fn refresh(server: &TestServer, token: &str) -> Answer {
    let body = json!({"refresh_token": token});
    server.anonymous().post("/refresh", body).await
}

async fn renew(server: &TestServer, token: &str, (id, secret): (&str, &str)) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", id),
        ("client_secret", secret),
        ("refresh_token", token),
    ];
    server.anonymous().form("/oauth/token", &form).await
}

async fn get(server: &TestServer, path: &str, token: &str) -> Answer {
    let anonymous = server.anonymous();
    let request = anonymous.request(Method::GET, path).bearer_auth(token);
    anonymous.send(request).await
}

async fn lines(server: &TestServer, event: &str) -> Vec<Value> {
    let records = server.audit().await;
    let of_event = records.iter().filter(|record| record.event == event);
    of_event
        .map(|record| serde_json::from_str(&record.body).unwrap())
        .collect()
}

/// Who, from where, why and when.
#[track_caller]
fn assert_complete(server: &TestServer, line: &Value, client: Option<&str>, reason: &str) {
    assert_eq!(line["client_id"].as_str(), client, "{line}");
    assert_eq!(line["outcome"], reason, "{line}");
    assert_eq!(line["ip"], "127.0.0.1", "{line}");
    assert_eq!(line["at"], server.now().to_string(), "{line}");
}

const TEST: (&str, &str) = ("test_client", "test_secret");
const ADMIN: (&str, &str) = ("admin_client", "admin_secret");

#[tokio::test]
async fn a_client_signs_in_with_its_id_and_secret_as_username_and_password() {
    let server = with_demo_data().await;
    let answer = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let body = answer.json();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "refresh_token", "token_type"]);
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(claims["sub"], "test_client");
    assert_eq!(claims["client_id"], "test_client");
    assert_eq!(claims["scope"], "read write");
    assert_eq!(claims["scopes"], json!(["read", "write"]));
    assert_eq!(claims["role"], "user");
    assert_eq!(claims["type"], "access");
    let line = &lines(&server, "login_success").await[0];
    assert_complete(&server, line, Some("test_client"), "success");
}

#[tokio::test]
async fn a_sign_in_as_pythons_form_of_a_password_grant_works_and_may_narrow_the_scope() {
    let server = with_demo_data().await;
    let form = [
        ("grant_type", "password"),
        ("username", TEST.0),
        ("password", TEST.1),
        ("scope", "read"),
        ("client_id", ""),
        ("client_secret", ""),
    ];
    let answer = server.anonymous().form("/token", &form).await.expect(200);
    assert_eq!(
        claims_of(&answer.text("access_token"))["scopes"],
        json!(["read"])
    );
    let mut wider = form;
    wider[3].1 = "admin";
    server
        .anonymous()
        .form("/token", &wider)
        .await
        .expect_problem(400);
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_client_get_the_same_401() {
    let server = with_demo_data().await;
    let wrong = sign_in(&server, TEST.0, "wrong").await.expect_problem(401);
    let unknown = sign_in(&server, "nobody", "wrong")
        .await
        .expect_problem(401);
    assert_eq!(wrong.json()["detail"], unknown.json()["detail"]);
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    let lines = lines(&server, "login_failure").await;
    assert_complete(&server, &lines[0], Some("test_client"), "secret_wrong");
    assert_complete(&server, &lines[1], Some("nobody"), "client_unknown");
    for form in [&[("username", "x")][..], &[("password", "x")], &[]] {
        server
            .anonymous()
            .form("/token", form)
            .await
            .expect_problem(422);
    }
}

#[tokio::test]
async fn a_client_without_the_grants_of_the_service_is_refused() {
    let server = with_demo_data().await;
    let chat = demo::CLIENTS[0];
    let answer = sign_in(&server, chat.id, chat.secret.unwrap()).await;
    let detail = answer.expect_problem(400).text("detail");
    assert!(detail.contains("refresh_token"), "{detail}");
}

#[tokio::test]
async fn a_refresh_makes_both_tokens_new() {
    let server = with_demo_data().await;
    let first = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let second = refresh(&server, &first.text("refresh_token"))
        .await
        .expect(200);
    assert_eq!(second.text("token_type"), "bearer");
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    let claims = claims_of(&second.text("access_token"));
    assert_ne!(claims["jti"], claims_of(&first.text("access_token"))["jti"]);
    assert_eq!(
        (&claims["scopes"], &claims["role"]),
        (&json!(["read", "write"]), &json!("user"))
    );
    get(&server, "/protected", &second.text("access_token"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_used_refresh_token_is_reuse_at_once_and_ends_the_whole_family() {
    let server = with_demo_data().await;
    let first = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let second = refresh(&server, &first.text("refresh_token"))
        .await
        .expect(200);
    for _ in 0..2 {
        let reused = refresh(&server, &first.text("refresh_token"))
            .await
            .expect(401);
        assert_eq!(reused.text("detail"), "Refresh token reuse detected");
    }
    refresh(&server, &second.text("refresh_token"))
        .await
        .expect_problem(401);
    for access_token in [first.text("access_token"), second.text("access_token")] {
        get(&server, "/protected", &access_token).await.expect(401);
    }
    let reuse = lines(&server, "refresh_token_reuse").await;
    assert_eq!(reuse.len(), 1);
    assert_complete(&server, &reuse[0], Some("test_client"), "family_ended");
    let invalid = &lines(&server, "refresh_token_invalid").await[0];
    assert_complete(&server, invalid, Some("test_client"), "revoked");
    sign_in(&server, TEST.0, TEST.1).await.expect(200);
}

#[tokio::test]
async fn an_unknown_an_old_and_a_users_refresh_token_are_refused() {
    let server = with_demo_data().await;
    let alice = server.user("alice").await;
    for token in [
        "",
        "tkr_x",
        "eyJhbGciOiJIUzI1NiJ9.e30.x",
        &alice.refresh_token,
    ] {
        refresh(&server, token).await.expect_problem(401);
    }
    let line = &lines(&server, "refresh_token_invalid").await[0];
    assert_complete(&server, line, None, "refresh_token_unknown");
    server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200);
    let first = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    server.advance(Duration::from_secs(31 * 24 * 3600));
    let old = refresh(&server, &first.text("refresh_token"))
        .await
        .expect_problem(401);
    assert!(!old.body.contains("reuse"), "{}", old.body);
}

#[tokio::test]
async fn the_family_of_a_client_works_at_the_token_endpoint_too() {
    let server = with_demo_data().await;
    let first = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let second = renew(&server, &first.text("refresh_token"), TEST)
        .await
        .expect(200);
    assert_eq!(second.text("token_type"), "Bearer");
    assert_eq!(second.text("scope"), "read write");
    let third = refresh(&server, &second.text("refresh_token"))
        .await
        .expect(200);
    renew(&server, &third.text("refresh_token"), ADMIN)
        .await
        .expect_oauth_error(400, "invalid_grant");
    renew(&server, &first.text("refresh_token"), TEST)
        .await
        .expect_oauth_error(400, "invalid_grant");
    renew(&server, &third.text("refresh_token"), TEST)
        .await
        .expect_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_revoked_access_token_is_refused_from_then_on() {
    let server = with_demo_data().await;
    let tokens = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let token = tokens.text("access_token");
    get(&server, "/protected", &token).await.expect(200);
    let revoke = async |token: &str| {
        let body = json!({ "access_token": token });
        server.anonymous().post("/revoke", body).await
    };
    let message = revoke(&token).await.expect(200).text("message");
    assert!(!message.is_empty());
    get(&server, "/protected", &token).await.expect_problem(401);
    revoke(&token).await.expect(200);
    let revoked = lines(&server, "token_revoked").await;
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0]["client_id"], "test_client");
    assert_eq!(revoked[0]["ip"], "127.0.0.1");
    let refused = &lines(&server, "token_invalid").await[0];
    assert_complete(&server, refused, Some("test_client"), "token_revoked");
    let alice = server.user("alice").await;
    for other in [
        "",
        "a.b.c",
        &tokens.text("refresh_token"),
        &alice.access_token,
    ] {
        revoke(other).await.expect_problem(401);
    }
    alice.get("/api/auth/organizations").await.expect(200);
    let line = &lines(&server, "token_invalid").await[1];
    assert_complete(&server, line, None, "token_not_ours");
}

#[tokio::test]
async fn protected_is_for_the_scope_read_and_admin_only_for_scope_and_role_admin() {
    let server = with_demo_data().await;
    let user = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let user = user.text("access_token");
    let admin = sign_in(&server, ADMIN.0, ADMIN.1).await.expect(200);
    let admin = admin.text("access_token");
    for (path, token, status) in [
        ("/protected", &user, 200),
        ("/protected", &admin, 200),
        ("/admin-only", &admin, 200),
        ("/admin-only", &user, 403),
    ] {
        let answer = get(&server, path, token).await.expect(status);
        if status == 200 {
            assert!(!answer.text("message").is_empty());
        } else {
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
        }
    }
    for path in ["/protected", "/admin-only"] {
        let anonymous = server.anonymous();
        let without = anonymous.send(anonymous.request(Method::GET, path)).await;
        let without = without.expect_problem(401);
        assert_eq!(without.header("www-authenticate"), Some("Bearer"));
        get(&server, path, "a.b.c").await.expect_problem(401);
    }
    let line = &lines(&server, "token_invalid").await[0];
    assert_complete(&server, line, None, "token_not_ours");
}

#[tokio::test]
async fn neither_the_scope_nor_the_role_alone_opens_admin_only_and_a_user_opens_neither() {
    let server = with_demo_data().await;
    let service = server.service("scope-only", "read admin").await;
    service.get("/protected").await.expect(200);
    service.get("/admin-only").await.expect_problem(403);
    let form = [
        ("username", ADMIN.0),
        ("password", ADMIN.1),
        ("scope", "read"),
    ];
    let narrowed = server.anonymous().form("/token", &form).await.expect(200);
    get(&server, "/admin-only", &narrowed.text("access_token"))
        .await
        .expect_problem(403);
    let alice = server.user("alice").await;
    for path in ["/protected", "/admin-only"] {
        alice.get(path).await.expect_problem(403);
    }
}

#[tokio::test]
async fn a_disabled_client_and_an_ended_family_stop_at_once() {
    let server = with_demo_data().await;
    let client_id = ClientId::parse(TEST.0).unwrap();
    let first = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let context = tokensmith_store::AuditContext::operator(server.now());
    let end = EndFamilies {
        scope: FamilyScope::Client(client_id.clone()),
        reason: "operator",
        revoked_until: server.now() + Duration::from_secs(3600),
        context: context.clone(),
    };
    assert_eq!(server.app().store().write(end).await.unwrap(), 1);
    refresh(&server, &first.text("refresh_token"))
        .await
        .expect_problem(401);
    get(&server, "/protected", &first.text("access_token"))
        .await
        .expect(401);
    let second = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let disable = ChangeClient {
        client_id,
        change: ClientChange::Active(false),
        context,
    };
    assert!(server.app().store().write(disable).await.unwrap());
    server
        .app()
        .registry()
        .reload(server.app().store())
        .await
        .unwrap();
    sign_in(&server, TEST.0, TEST.1).await.expect_problem(401);
    refresh(&server, &second.text("refresh_token"))
        .await
        .expect_problem(401);
    get(&server, "/protected", &second.text("access_token"))
        .await
        .expect(401);
}

#[tokio::test]
async fn the_sixty_first_request_of_a_minute_waits() {
    let server = with_demo_data().await;
    let token = sign_in(&server, TEST.0, TEST.1).await.expect(200);
    let token = token.text("access_token");
    for _ in 0..59 {
        get(&server, "/protected", &token).await.expect(200);
    }
    let refused = get(&server, "/protected", &token).await.expect_problem(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    sign_in(&server, TEST.0, TEST.1).await.expect_problem(429);
    sign_in(&server, ADMIN.0, ADMIN.1).await.expect(200);
    let line = &lines(&server, "rate_limit_exceeded").await[0];
    assert_complete(&server, line, Some("test_client"), "requests_per_minute");
    server.advance(Duration::from_secs(1));
    get(&server, "/protected", &token).await.expect(200);
}

#[tokio::test]
async fn the_limit_follows_its_setting() {
    let server = TestServer::start_with(|config| {
        config.rate_limit.requests_per_minute = 2.try_into().unwrap()
    })
    .await;
    demo::seed(server.app()).await.unwrap();
    for status in [200, 200, 429] {
        sign_in(&server, TEST.0, TEST.1).await.expect(status);
    }
}

/// Makes a live family of `test_client` whose one token is known by this digest.
async fn import(server: &TestServer, digest: [u8; 32]) {
    let signed_in = sign_in(server, TEST.0, TEST.1).await.expect(200);
    let grant = claims_of(&signed_in.text("access_token"))["grant_id"].clone();
    let id = grant.as_str().unwrap().parse().unwrap();
    let store = server.app().store();
    let mut family = store.refresh_family(&id).await.unwrap().unwrap();
    family.id = server.app().entropy().uuid(server.now()).into();
    family.generation = 0;
    let import = ImportRefreshFamily {
        family,
        digest: Some(digest),
        context: AuditContext::operator(server.now()),
    };
    assert!(store.write(import).await.unwrap());
}

#[tokio::test]
async fn a_refresh_token_of_the_older_service_works_once_and_is_reuse_after_that() {
    let server = with_demo_data().await;
    import(&server, digest_of_token("an opaque token")).await;
    refresh(&server, "an opaque token ")
        .await
        .expect_problem(401);
    let first = refresh(&server, "an opaque token").await.expect(200);
    let again = refresh(&server, "an opaque token").await.expect(401);
    assert_eq!(again.text("detail"), "Refresh token reuse detected");
    refresh(&server, &first.text("refresh_token"))
        .await
        .expect_problem(401);
    import(&server, digest_of_token("another")).await;
    renew(&server, "another", ADMIN)
        .await
        .expect_oauth_error(400, "invalid_grant");
    renew(&server, "another", TEST).await.expect(200);
}

#[tokio::test]
async fn a_token_known_by_its_jti_alone_must_be_signed_with_the_older_secret() {
    const SECRET: &str = "mZ8vQ2xT5nB7kR1wY4hC6jL9pD3sF0gA";
    let secret = SharedSecret::read(&SECRET.into()).unwrap();
    let server =
        TestServer::start_with(|config| config.tokens.legacy_shared_secret = Some(secret)).await;
    demo::seed(server.app()).await.unwrap();
    import(&server, digest_of_jti("old-jti")).await;
    let token = |secret: &str, kind: &str| {
        let key = HmacKey::new(secret.as_bytes()).unwrap();
        let claims = json!({"sub": "test_client", "jti": "old-jti", "type": kind});
        Signer::hs256(key, "JWT").unwrap().sign(&claims).unwrap()
    };
    for forged in [
        token("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "refresh"),
        token(SECRET, "access"),
        "old-jti".to_owned(),
        "jti:old-jti".to_owned(),
    ] {
        refresh(&server, &forged).await.expect_problem(401);
    }
    refresh(&server, &token(SECRET, "refresh"))
        .await
        .expect(200);
}
