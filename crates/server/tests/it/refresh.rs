//! Refresh tokens, at the token endpoint and at the account endpoint, and the end of sessions.

use std::time::Duration;

use serde_json::json;
use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_store::{
    AuditContext, AuthMethod, ChangeClient, Client, ClientChange, EndFamilies, EndSessionsOf,
    FamilyScope, RegisterClient, SetUserActive,
};
use tokensmith_testkit::{Answer, SIGN_IN_PASSWORD, TestServer, User};

use crate::claims_of;

const HOUR: Duration = Duration::from_secs(3600);

async fn works(server: &TestServer, access_token: &str) -> bool {
    let anonymous = server.anonymous();
    let request = anonymous.request(reqwest::Method::GET, "/api/auth/organizations");
    let answer = anonymous.send(request.bearer_auth(access_token)).await;
    assert!([200, 401].contains(&answer.status), "{}", answer.body);
    answer.status == 200
}

async fn renew(server: &TestServer, refresh_token: &str) -> Answer {
    server.anonymous().renew(refresh_token, &[]).await
}

#[tokio::test]
async fn a_refresh_token_yields_a_new_pair_at_both_endpoints() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let first = renew(&server, &alice.refresh_token).await.expect(200);
    assert_eq!(first.text("token_type"), "Bearer");
    assert_eq!(first.text("scope"), "email openid profile");
    let body = json!({"refresh_token": first.text("refresh_token")});
    let second = server
        .anonymous()
        .post("/api/auth/refresh", body)
        .await
        .expect(200);
    assert_eq!(second.text("token_type"), "bearer");
    assert_eq!(second.text("user_id"), alice.id.as_str());
    assert_eq!(second.json()["expires_in"], 900);
    assert_eq!(
        claims_of(&second.text("access_token"))["sid"],
        claims_of(&alice.access_token)["sid"]
    );
    let tokens = [
        alice.refresh_token,
        first.text("refresh_token"),
        second.text("refresh_token"),
    ];
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2]);
    assert!(works(&server, &second.text("access_token")).await);
}

#[tokio::test]
async fn an_honest_repetition_gets_the_very_same_successor() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let first = renew(&server, &alice.refresh_token).await.expect(200);
    let again = renew(&server, &alice.refresh_token).await.expect(200);
    assert_eq!(again.text("refresh_token"), first.text("refresh_token"));
    let jti = |answer: &Answer| claims_of(&answer.text("access_token"))["jti"].clone();
    assert_eq!(jti(&again), jti(&first));
    renew(&server, &first.text("refresh_token"))
        .await
        .expect(200);
}

#[tokio::test]
async fn fifty_renewals_at_once_yield_one_successor() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let renewals = (0..50).map(|_| {
        let (anonymous, token) = (server.anonymous(), alice.refresh_token.clone());
        tokio::spawn(async move {
            anonymous
                .renew(&token, &[])
                .await
                .expect(200)
                .text("refresh_token")
        })
    });
    let mut successors = Vec::new();
    for renewal in renewals.collect::<Vec<_>>() {
        successors.push(renewal.await.unwrap());
    }
    successors.dedup();
    assert_eq!(successors.len(), 1);
    renew(&server, &successors[0]).await.expect(200);
}

#[tokio::test]
async fn a_spent_token_used_after_its_successor_ends_the_family() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let first = renew(&server, &alice.refresh_token).await.expect(200);
    let second = renew(&server, &first.text("refresh_token"))
        .await
        .expect(200);
    let replayed = renew(&server, &alice.refresh_token).await;
    replayed.expect_oauth_error(400, "invalid_grant");
    renew(&server, &second.text("refresh_token"))
        .await
        .expect_oauth_error(400, "invalid_grant");
    assert!(!works(&server, &second.text("access_token")).await);
    assert!(
        server
            .audit_events()
            .await
            .contains(&"refresh_token_reuse".to_owned())
    );
}

#[tokio::test]
async fn a_spent_token_used_after_the_access_token_of_its_successor_ends_the_family() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let first = renew(&server, &alice.refresh_token).await.expect(200);
    assert!(works(&server, &first.text("access_token")).await);
    renew(&server, &alice.refresh_token)
        .await
        .expect_oauth_error(400, "invalid_grant");
    renew(&server, &first.text("refresh_token"))
        .await
        .expect_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_spent_token_used_much_later_ends_the_family() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let first = renew(&server, &alice.refresh_token).await.expect(200);
    server.advance(Duration::from_secs(61));
    let body = json!({"refresh_token": alice.refresh_token});
    let replayed = server
        .anonymous()
        .post("/api/auth/refresh", body)
        .await
        .expect_problem(401);
    let forged = json!({"refresh_token": "tkr_nothing"});
    let forged = server
        .anonymous()
        .post("/api/auth/refresh", forged)
        .await
        .expect_problem(401);
    assert_eq!(replayed.json()["detail"], forged.json()["detail"]);
    renew(&server, &first.text("refresh_token"))
        .await
        .expect_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn row_082_a_wider_scope_is_refused_and_the_token_is_not_spent() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    for scope in [
        "openid groups:admin",
        "admin",
        "openid offline_access",
        "a\"b",
    ] {
        let wider = anonymous
            .renew(&alice.refresh_token, &[("scope", scope)])
            .await;
        wider.expect_oauth_error(400, "invalid_scope");
    }
    let foreign = anonymous
        .renew(
            &alice.refresh_token,
            &[("resource", "https://other.example")],
        )
        .await;
    foreign.expect_oauth_error(400, "invalid_target");
    let first = renew(&server, &alice.refresh_token).await.expect(200);
    // Generation 2 came from the first honest use: nothing before it had spent the token.
    assert!(first.text("refresh_token").contains(".2."));
}

#[tokio::test]
async fn row_083_a_narrower_scope_narrows_one_access_token_and_not_the_grant() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let narrow = anonymous
        .renew(&alice.refresh_token, &[("scope", "openid")])
        .await
        .expect(200);
    assert_eq!(narrow.text("scope"), "openid");
    assert_eq!(claims_of(&narrow.text("access_token"))["scope"], "openid");
    let full = [("scope", "openid profile email")];
    let full = anonymous
        .renew(&narrow.text("refresh_token"), &full)
        .await
        .expect(200);
    assert_eq!(full.text("scope"), "email openid profile");
    let more = [("scope", "openid profile email groups:read")];
    let more = anonymous.renew(&full.text("refresh_token"), &more).await;
    more.expect_oauth_error(400, "invalid_scope");
}

#[tokio::test]
async fn row_085_a_disabled_user_gets_nothing_more_also_when_enabled_again() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for is_active in [false, true] {
        let change = SetUserActive {
            user_id: alice.id.clone(),
            is_active,
            revoked_until: server.now() + HOUR,
            context: AuditContext::operator(server.now()),
        };
        assert!(server.app().store().write(change).await.unwrap());
        renew(&server, &alice.refresh_token)
            .await
            .expect_oauth_error(400, "invalid_grant");
        assert!(!works(&server, &alice.access_token).await);
    }
    server.advance(Duration::from_secs(1));
    let again = alice.signed_in_again(&server).await;
    assert!(works(&server, &again.access_token).await);
}

#[tokio::test]
async fn row_087_when_everything_of_a_user_ends_no_refresh_token_is_good() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let elsewhere = alice.signed_in_again(&server).await;
    let bob = server.user("bob").await;
    renew(&server, &bob.refresh_token).await.expect(200);
    let ended = server.app().store().write(EndSessionsOf {
        user_id: alice.id.clone(),
        except: None,
        reason: "log_out_everywhere",
        revoked_until: server.now() + HOUR,
        context: AuditContext::operator(server.now()),
    });
    assert_eq!(ended.await.unwrap().sessions, 2);
    for user in [&alice, &elsewhere] {
        renew(&server, &user.refresh_token)
            .await
            .expect_oauth_error(400, "invalid_grant");
        assert!(!works(&server, &user.access_token).await);
    }
    let live = server
        .app()
        .store()
        .sessions_of(&alice.id, server.now(), 10)
        .await;
    assert!(live.unwrap().is_empty());
}

#[tokio::test]
async fn a_sign_out_ends_every_session_and_token_of_the_user_at_once() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let elsewhere = alice.signed_in_again(&server).await;
    let renewed = renew(&server, &alice.refresh_token).await.expect(200);
    let out = alice.post("/api/auth/logout", json!({})).await.expect(200);
    assert_eq!(out.json()["revoked_tokens"], 2);
    assert!(!out.text("message").is_empty());
    for token in [
        &alice.access_token,
        &elsewhere.access_token,
        &renewed.text("access_token"),
    ] {
        assert!(!works(&server, token).await);
    }
    for token in [&renewed.text("refresh_token"), &elsewhere.refresh_token] {
        renew(&server, token)
            .await
            .expect_oauth_error(400, "invalid_grant");
    }
    alice
        .post("/api/auth/logout", json!({}))
        .await
        .expect_problem(401);
    assert!(works(&server, &bob.access_token).await);
}

#[tokio::test]
async fn a_lost_membership_ends_what_was_granted_in_it() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let org = alice.creates_organization("Activity").await;
    alice.adds(&org, &bob, "member").await.expect(201);
    let bob = bob.signed_in_again(&server).await;
    let renewed = renew(&server, &bob.refresh_token).await.expect(200);
    assert_eq!(
        claims_of(&renewed.text("access_token"))["roles"],
        json!(["member"])
    );
    let member = format!("/api/auth/organizations/{org}/members/{}", bob.id);
    alice
        .patch(&member, json!({"role": "admin"}))
        .await
        .expect(200);
    let renewed = renew(&server, &renewed.text("refresh_token"))
        .await
        .expect(200);
    assert_eq!(
        claims_of(&renewed.text("access_token"))["roles"],
        json!(["admin"])
    );
    alice.delete(&member).await.expect(204);
    renew(&server, &renewed.text("refresh_token"))
        .await
        .expect_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_family_ends_thirty_days_after_its_sign_in_however_busy() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let day = HOUR * 24;
    server.advance(day * 10);
    let renewed = renew(&server, &alice.refresh_token).await.expect(200);
    server.advance(day * 10);
    let renewed = renew(&server, &renewed.text("refresh_token"))
        .await
        .expect(200);
    server.advance(day * 10 - Duration::from_secs(1));
    let renewed = renew(&server, &renewed.text("refresh_token"))
        .await
        .expect(200);
    server.advance(Duration::from_secs(1));
    renew(&server, &renewed.text("refresh_token"))
        .await
        .expect_oauth_error(400, "invalid_grant");
    assert!(!works(&server, &renewed.text("access_token")).await);
}

#[tokio::test]
async fn a_refresh_token_that_lies_unused_for_two_weeks_is_over_and_one_in_use_is_not() {
    let server = TestServer::start().await;
    let day = HOUR * 24;
    let alice = server.user("alice").await;
    server.advance(day * 14 - Duration::from_secs(1));
    let renewed = renew(&server, &alice.refresh_token).await.expect(200);
    server.advance(day * 14);
    renew(&server, &renewed.text("refresh_token"))
        .await
        .expect_oauth_error(400, "invalid_grant");
    let recorded = server.audit().await;
    assert!(
        recorded
            .iter()
            .any(|line| line.body.contains("idle_expired"))
    );
}

#[tokio::test]
async fn a_client_may_have_an_idle_time_of_its_own() {
    let server = TestServer::start().await;
    let machine = server.service("machine", "groups:read").await;
    let admin = server.service("admin-tool", "tokensmith:admin").await;
    let client = "/api/admin/v1/clients/machine";
    for wrong in [
        json!(0),
        json!(59),
        json!(31_536_001),
        json!("1h"),
        json!(-1),
    ] {
        let answer = admin
            .patch(client, json!({"refresh_token_idle_seconds": wrong}))
            .await;
        answer.expect_problem(422);
    }
    let grants = ["client_credentials", "refresh_token"];
    let change = json!({"refresh_token_idle_seconds": 3600, "grant_types": grants});
    admin.patch(client, change).await.expect(200);
    let anonymous = server.anonymous();
    let form = [
        ("username", machine.client_id.as_str()),
        ("password", machine.secret.as_str()),
    ];
    let token = anonymous.form("/token", &form).await.expect(200);
    let renew = async |token: String| {
        let body = json!({"refresh_token": token});
        anonymous.post("/refresh", body).await
    };
    server.advance(HOUR - Duration::from_secs(1));
    let token = renew(token.text("refresh_token")).await.expect(200);
    server.advance(HOUR);
    renew(token.text("refresh_token")).await.expect_problem(401);
}

#[tokio::test]
async fn a_refresh_token_is_good_for_its_own_client_alone() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    register_public_client(&server, "other-app").await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "other-app"),
        ("refresh_token", &alice.refresh_token),
    ];
    let stolen = server.anonymous().form("/oauth/token", &form).await;
    stolen.expect_oauth_error(400, "invalid_grant");
    renew(&server, &alice.refresh_token).await.expect(200);
}

async fn register_public_client(server: &TestServer, id: &str) {
    let client = Client {
        client_id: ClientId::parse(id).unwrap(),
        name: id.to_owned(),
        auth_method: AuthMethod::None,
        secrets: Vec::new(),
        grant_types: vec![GrantType::RefreshToken],
        scope: Scope::parse("openid profile email").unwrap(),
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: server.now(),
        updated_at: server.now(),
    };
    let context = AuditContext::operator(server.now());
    server
        .app()
        .store()
        .write(RegisterClient { client, context })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_not_written_here_is_no_refresh_token() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let token = &alice.refresh_token;
    let (start, secret) = token.rsplit_once('.').unwrap();
    let (family, _) = start.rsplit_once('.').unwrap();
    for forged in [
        format!("{family}.2.{secret}"),
        format!("{family}.0.{secret}"),
        format!("{family}.-1.{secret}"),
        format!("{family}.9223372036854775808.{secret}"),
        format!("{start}.{}", "A".repeat(43)),
        format!("{token}A"),
        alice.access_token.clone(),
        "' OR 1=1--".to_owned(),
        "x".repeat(10_000),
    ] {
        renew(&server, &forged)
            .await
            .expect_oauth_error(400, "invalid_grant");
    }
    server
        .anonymous()
        .renew(token, &[("refresh_token", token)])
        .await
        .expect_oauth_error(400, "invalid_request");
    server
        .anonymous()
        .renew("", &[])
        .await
        .expect_oauth_error(400, "invalid_request");
    renew(&server, token).await.expect(200);
}

#[tokio::test]
async fn the_account_client_may_renew_and_nothing_else() {
    let server = TestServer::start().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "tokensmith-account"),
        ("scope", "openid"),
    ];
    let answer = server.anonymous().form("/oauth/token", &form).await;
    answer.expect_oauth_error(400, "unauthorized_client");
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "tokensmith-account"),
        ("client_secret", "x"),
        ("refresh_token", "y"),
    ];
    server
        .anonymous()
        .form("/oauth/token", &form)
        .await
        .expect_oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn a_disabled_client_renews_nothing() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let change = ChangeClient {
        client_id: ClientId::parse("tokensmith-account").unwrap(),
        change: ClientChange::Active(false),
        context: AuditContext::operator(server.now()),
    };
    server.app().store().write(change).await.unwrap();
    server
        .app()
        .registry()
        .reload(server.app().store())
        .await
        .unwrap();
    renew(&server, &alice.refresh_token)
        .await
        .expect_oauth_error(401, "invalid_client");
    let body = json!({"refresh_token": alice.refresh_token});
    server
        .anonymous()
        .post("/api/auth/refresh", body)
        .await
        .expect_problem(401);
    server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn without_rotation_the_newest_token_stays_good_until_it_is_revoked() {
    let server =
        TestServer::start_with(|config| config.tokens.refresh_token_rotation = false).await;
    let alice = server.user("alice").await;
    let mut access_tokens = Vec::new();
    for _ in 0..3 {
        let renewed = renew(&server, &alice.refresh_token).await.expect(200);
        assert_eq!(renewed.text("refresh_token"), alice.refresh_token);
        access_tokens.push(renewed.text("access_token"));
        server.advance(Duration::from_secs(120));
    }
    assert_ne!(access_tokens[0], access_tokens[1]);
    end_families_of(&server, &alice).await;
    renew(&server, &alice.refresh_token)
        .await
        .expect_oauth_error(400, "invalid_grant");
}

async fn end_families_of(server: &TestServer, user: &User) {
    let ended = server.app().store().write(EndFamilies {
        scope: FamilyScope::User(user.id.clone()),
        reason: "test",
        revoked_until: server.now() + HOUR,
        context: AuditContext::operator(server.now()),
    });
    assert_eq!(ended.await.unwrap(), 1);
}
