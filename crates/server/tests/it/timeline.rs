//! The token timeline: every way in which a refresh token family can end or be refused, played over HTTP, and the plain
//! sentence that says so.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokensmith_oauth2::ClientId;
use tokensmith_server::timeline::{self, Subject, Timeline};
use tokensmith_store::{
    AuditContext, ChangeClient, ClientChange, Expired, FamilyId, RemoveMember, SetUserActive, Sweep,
};
use tokensmith_testkit::{TestServer, User};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn family_of(user: &User) -> FamilyId {
    let token = user.refresh_token.strip_prefix("tkr_").unwrap();
    token.split('.').next().unwrap().parse().unwrap()
}

async fn of_family(server: &TestServer, user: &User) -> Timeline {
    let subject = Subject::Family(family_of(user));
    let timeline = timeline::of(server.app().store(), subject, server.now()).await;
    timeline.unwrap().expect("something is recorded")
}

fn events(timeline: &Timeline) -> Vec<String> {
    let entries = timeline.entries.iter();
    entries
        .map(|entry| entry.member("event").to_owned())
        .collect()
}

#[track_caller]
fn assert_says(timeline: &Timeline, expected: &[&str]) {
    for part in expected {
        assert!(
            timeline.verdict.contains(part),
            "{part:?} is not in {:?}",
            timeline.verdict
        );
    }
}

#[tokio::test]
async fn a_family_is_told_from_its_sign_in_through_an_honest_repetition_to_its_reuse() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let first = alice.refresh_token.clone();
    let anonymous = server.anonymous();
    let second = anonymous
        .renew(&first, &[])
        .await
        .expect(200)
        .text("refresh_token");
    let again = anonymous
        .renew(&first, &[])
        .await
        .expect(200)
        .text("refresh_token");
    assert_eq!(second, again);
    assert_says(
        &of_family(&server, &alice).await,
        &["The family has not ended", "generation 2"],
    );
    anonymous.renew(&second, &[]).await.expect(200);
    server.advance(Duration::from_secs(5));
    anonymous.renew(&first, &[]).await.expect(400);
    anonymous.renew(&second, &[]).await.expect(400);
    let timeline = of_family(&server, &alice).await;
    assert_eq!(
        events(&timeline),
        [
            "login_success",
            "refresh_family_opened",
            "token_issued",
            "refresh_token_rotated",
            "token_issued",
            "refresh_token_repeated",
            "token_issued",
            "refresh_token_rotated",
            "token_issued",
            "refresh_token_reuse",
            "session_ended",
            "token_refused",
        ]
    );
    assert_says(
        &timeline,
        &[
            "The family ended because the spent refresh token of generation 1 was presented again",
            "two parties held it",
            "from 127.0.0.1",
            "The last request was refused",
            "(user_or_session_over)",
        ],
    );
}

#[tokio::test]
async fn a_sign_out_ends_the_family_in_its_own_timeline_and_in_that_of_its_session() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    alice.post("/api/auth/logout", json!({})).await.expect(200);
    alice.get("/api/auth/organizations").await.expect(401);
    let timeline = of_family(&server, &alice).await;
    assert_says(
        &timeline,
        &[
            "The family ended because the user signed out",
            &format!("user:{}", alice.id),
        ],
    );
    let store = server.app().store();
    let family = store
        .refresh_family(&family_of(&alice))
        .await
        .unwrap()
        .unwrap();
    let session = family.session_id.unwrap();
    let subject = timeline::resolve(store, session.as_str())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(subject, Subject::Session(session));
    let timeline = timeline::of(store, subject, server.now())
        .await
        .unwrap()
        .unwrap();
    assert!(events(&timeline).contains(&"refresh_family_opened".to_owned()));
    assert_eq!(
        events(&timeline).last().unwrap(),
        "token_invalid",
        "the refused access token"
    );
    assert_says(
        &timeline,
        &[
            "The session ended because the user signed out",
            "(token_revoked)",
        ],
    );
}

#[tokio::test]
async fn a_family_that_was_only_too_old_or_too_long_unused_says_so_even_after_it_was_swept() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let newest = anonymous
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200)
        .text("refresh_token");
    server.advance(DAY * 31);
    anonymous.renew(&newest, &[]).await.expect(400);
    assert_says(
        &of_family(&server, &alice).await,
        &["The family ended because", "was refused at"],
    );
    let sweep = Sweep {
        expired: Expired::RefreshFamilies,
        before: server.now(),
        limit: 100,
    };
    assert_eq!(server.app().store().write(sweep).await.unwrap(), 1);
    anonymous.renew(&newest, &[]).await.expect(400);
    let timeline = of_family(&server, &alice).await;
    assert_says(
        &timeline,
        &["The family ended because", "(refresh_token_unknown)"],
    );
    let id = family_of(&alice).to_string();
    let subject = timeline::resolve(server.app().store(), &id).await.unwrap();
    assert_eq!(
        subject,
        Some(Subject::Family(family_of(&alice))),
        "known by its lines alone"
    );
}

#[tokio::test]
async fn each_refusal_of_a_known_family_stands_in_its_timeline_with_its_rule() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let token = alice.refresh_token.clone();
    let last = async |server: &TestServer| {
        let timeline = of_family(server, &alice).await;
        let last = timeline.entries.last().unwrap();
        (
            last.member("event").to_owned(),
            last.member("outcome").to_owned(),
        )
    };
    let recorded = |event: &str, outcome: &str| (event.to_owned(), outcome.to_owned());
    anonymous
        .renew(&token, &[("scope", "groups:admin")])
        .await
        .expect(400);
    assert_eq!(
        last(&server).await,
        recorded("token_refused", "scope_not_allowed")
    );
    server.advance(Duration::from_secs(1));
    anonymous
        .renew(&token, &[("resource", "https://other.example.com")])
        .await
        .expect(400);
    assert_eq!(
        last(&server).await,
        recorded("token_refused", "resource_not_allowed")
    );
    server.advance(Duration::from_secs(1));
    let service = server.service("service", "groups:read").await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "service"),
        ("client_secret", "wrong"),
        ("refresh_token", &token),
    ];
    anonymous.form("/oauth/token", &form).await.expect(401);
    assert_eq!(
        last(&server).await,
        recorded("refresh_token_invalid", "secret_wrong")
    );
    server.advance(Duration::from_secs(1));
    let foreign = [
        ("client_id", "service"),
        ("client_secret", &service.secret),
        ("token", &token),
    ];
    anonymous.form("/oauth/revoke", &foreign).await.expect(200);
    assert_eq!(
        last(&server).await,
        recorded("revocation_refused", "token_of_another_client")
    );
    server.advance(Duration::from_secs(1));
    anonymous
        .form("/oauth/introspect", &foreign)
        .await
        .expect(200);
    assert_eq!(
        last(&server).await,
        recorded("introspection_refused", "token_of_another_client")
    );
    anonymous.renew(&token, &[]).await.expect(200);
    assert_says(
        &of_family(&server, &alice).await,
        &["The family has not ended"],
    );
}

#[tokio::test]
async fn a_member_who_was_removed_reads_that_the_membership_is_over() {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let org = owner.creates_organization("Activity").await;
    let bob = server.user("bob").await;
    owner.adds(&org, &bob, "member").await.expect(201);
    let bob = bob.signed_in_again(&server).await;
    let remove = RemoveMember {
        org_id: org.parse().unwrap(),
        user_id: bob.id.clone(),
        actor: None,
        revoked_until: server.now() + Duration::from_secs(3600),
        context: AuditContext::operator(server.now()),
    };
    server.app().store().write(remove).await.unwrap();
    server.advance(Duration::from_secs(1));
    server
        .anonymous()
        .renew(&bob.refresh_token, &[])
        .await
        .expect(400);
    let timeline = of_family(&server, &bob).await;
    assert_says(
        &timeline,
        &[
            "The family has not ended",
            "no longer a member",
            "(membership_over)",
        ],
    );
}

#[tokio::test]
async fn a_disabled_user_and_a_disabled_client_are_told_apart() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let store = server.app().store();
    let disable = SetUserActive {
        user_id: alice.id.clone(),
        is_active: false,
        revoked_until: server.now() + DAY,
        context: AuditContext::operator(server.now()),
    };
    assert!(store.write(disable).await.unwrap());
    assert_says(
        &of_family(&server, &alice).await,
        &[
            "The family ended because the user was disabled",
            "by operator",
        ],
    );
    let disable = ChangeClient {
        client_id: ClientId::parse("tokensmith-account").unwrap(),
        change: ClientChange::Active(false),
        context: AuditContext::operator(server.now()),
    };
    assert!(store.write(disable).await.unwrap());
    assert_says(
        &of_family(&server, &bob).await,
        &["its client tokensmith-account is disabled"],
    );
}

#[tokio::test]
async fn an_access_token_revoked_alone_is_found_by_its_jti_and_in_its_grant() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let form = [
        ("client_id", "tokensmith-account"),
        ("token", &alice.access_token),
    ];
    anonymous.form("/oauth/revoke", &form).await.expect(200);
    let request = anonymous.request(Method::GET, "/api/auth/organizations");
    anonymous
        .send(request.bearer_auth(&alice.access_token))
        .await
        .expect(401);
    let family = of_family(&server, &alice).await;
    assert_says(&family, &["The family has not ended", "(token_revoked)"]);
    let issued = family
        .entries
        .iter()
        .find(|entry| entry.member("event") == "token_issued");
    let jti = issued.unwrap().member("jti").to_owned();
    let store = server.app().store();
    let token = timeline::of(store, Subject::Token(jti), server.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        events(&token),
        ["refresh_family_opened", "token_issued", "token_revoked"][1..]
    );
    assert_says(
        &token,
        &["The token was revoked at", "client:tokensmith-account"],
    );
    assert!(
        timeline::resolve(store, "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f")
            .await
            .unwrap()
            .is_none()
    );
}
