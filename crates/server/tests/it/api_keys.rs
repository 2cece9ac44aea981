//! API keys: made once, good as long as their owner is, renewed with an overlap, and gone when they are revoked.

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_oauth2::{ClientId, Scope};
use tokensmith_server::api_keys::text;
use tokensmith_store::{ApiKey, ApiKeyCreation, ApiKeyOwner, AuditContext, CreateApiKey};
use tokensmith_testkit::{Answer, TestServer, User};

use crate::{
    introspect::{CHAT, Registered, client, declare_chat},
    roles::{assign, declare},
};

const KEYS: &str = "/api/auth/api-keys";

async fn house() -> (TestServer, Registered, User) {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let audience = server.app().config().audience().to_owned();
    let api = client(&server, "api", false, &[&audience]).await;
    declare(&server, "reader", &["pages:read"], &[]).await;
    let alice = server.user("alice").await;
    assign(&server, &alice, None, "reader").await;
    (server, api, alice)
}

async fn make(user: &User, scope: &str) -> Answer {
    user.post(KEYS, json!({"name": "deploy", "scope": scope}))
        .await
}

#[tokio::test]
async fn a_key_is_shown_once_and_introspected_as_its_owner_within_its_scope() {
    let (server, api, alice) = house().await;
    let made = make(&alice, "pages:read openid").await.expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let key = made.text("key");
    let said = api.introspects(&server, &key).await;
    assert_eq!(
        (
            &said["active"],
            &said["sub"],
            &said["type"],
            &said["jti"],
            &said["scope"]
        ),
        (
            &json!(true),
            &json!(alice.id.as_str()),
            &json!("api_key"),
            &json!(made.text("id")),
            &json!("openid pages:read")
        )
    );
    assert_eq!(said["permissions"], json!(["pages:read"]));
    assert!(said.get("roles").is_none());
    let listed = alice.get(KEYS).await.expect(200);
    assert!(!listed.body.contains(&key) && !listed.body.contains("digest"));
    let listed = listed.json();
    assert_eq!(listed["api_keys"][0]["name"], "deploy");
    assert_eq!(
        listed["api_keys"][0]["last_used_at"],
        listed["api_keys"][0]["created_at"]
    );
    // Not for another resource, and no key of the server's own API.
    let chat = client(&server, "chat", false, &[CHAT]).await;
    assert_eq!(
        chat.introspects(&server, &key).await,
        json!({"active": false})
    );
    let request = server
        .anonymous()
        .request(reqwest::Method::GET, KEYS)
        .bearer_auth(&key);
    server.anonymous().send(request).await.expect_problem(401);
}

#[tokio::test]
async fn a_key_permits_no_more_than_its_owner_may_at_that_moment() {
    let (server, api, alice) = house().await;
    for scope in [
        "pages:write",
        "groups:admin",
        "tokensmith:admin",
        "pages:read tokensmith:read",
    ] {
        make(&alice, scope).await.expect_problem(403);
    }
    for scope in ["", "\"", "a\u{e9}"] {
        make(&alice, scope).await.expect_problem(422);
    }
    let key = make(&alice, "pages:read openid")
        .await
        .expect(201)
        .text("key");
    let admin = server.user_with_roles("root", &["admin"]).await;
    let path = format!("/api/admin/v1/users/{}/roles/reader", alice.id);
    admin.delete(&path).await.expect(204);
    let said = api.introspects(&server, &key).await;
    assert_eq!(
        (&said["scope"], &said["permissions"]),
        (&json!("openid"), &json!([]))
    );
    let disable = tokensmith_store::SetUserActive {
        user_id: alice.id.clone(),
        is_active: false,
        revoked_until: server.now() + Duration::from_secs(3600),
        context: AuditContext::operator(server.now()),
    };
    assert!(server.app().store().write(disable).await.unwrap());
    assert_eq!(
        api.introspects(&server, &key).await,
        json!({"active": false})
    );
}

#[tokio::test]
async fn row_277_an_expired_or_revoked_key_is_not_active_and_neither_is_a_changed_one() {
    let (server, api, alice) = house().await;
    let body = json!({"name": "short", "scope": "openid", "expires_in_days": 1});
    let made = alice.post(KEYS, body).await.expect(201);
    let (id, key) = (made.text("id"), made.text("key"));
    let inactive = json!({"active": false});
    let mut wrong_secret = key.clone().into_bytes();
    wrong_secret[30] ^= 1;
    let wrong_secret = String::from_utf8(wrong_secret).unwrap();
    for wrong in [
        "tsk_",
        &key[..key.len() - 1],
        &wrong_secret,
        &key.replace(&id, "0000000000000000"),
    ] {
        assert_eq!(api.introspects(&server, wrong).await, inactive, "{wrong}");
    }
    assert_eq!(api.introspects(&server, &key).await["active"], true);
    let mallory = server.user("mallory").await;
    mallory
        .delete(&format!("{KEYS}/{id}"))
        .await
        .expect_problem(404);
    let other = make(&alice, "openid").await.expect(201);
    alice
        .delete(&format!("{KEYS}/{}", other.text("id")))
        .await
        .expect(204);
    alice
        .delete(&format!("{KEYS}/{}", other.text("id")))
        .await
        .expect_problem(404);
    assert_eq!(api.introspects(&server, &other.text("key")).await, inactive);
    server.advance(Duration::from_secs(86_400));
    assert_eq!(api.introspects(&server, &key).await, inactive);
}

#[tokio::test]
async fn rotation_makes_a_successor_while_the_old_key_goes_on_for_the_overlap() {
    let (server, api, alice) = house().await;
    let made = make(&alice, "openid").await.expect(201);
    let rotate = format!("{KEYS}/{}/rotate", made.text("id"));
    for overlap in [json!(-1), json!(604_801), json!("1"), Value::Null] {
        alice
            .post(&rotate, json!({"overlap_seconds": overlap}))
            .await
            .expect_problem(422);
    }
    let mallory = server.user("mallory").await;
    mallory.post(&rotate, json!({})).await.expect_problem(404);
    let new = alice
        .post(&rotate, json!({"overlap_seconds": 60}))
        .await
        .expect(201);
    let is_active = async |answer: &Answer| {
        api.introspects(&server, &answer.text("key")).await["active"] == true
    };
    assert!(is_active(&made).await && is_active(&new).await);
    server.advance(Duration::from_secs(60));
    assert!(!is_active(&made).await && is_active(&new).await);
    alice.post(&rotate, json!({})).await.expect_problem(404);
}

#[tokio::test]
async fn making_a_key_needs_a_sign_in_of_the_last_ten_minutes_and_strict_input() {
    let (server, _, alice) = house().await;
    let service = server.service("service", "openid").await;
    service.get(KEYS).await.expect_problem(403);
    for body in [
        json!({"name": "x"}),
        json!({"name": "", "scope": "openid"}),
        json!({"name": "x", "scope": ["openid"]}),
        json!({"name": "x", "scope": "openid", "expires_in_days": 0}),
        json!({"name": "x", "scope": "openid", "expires_in_days": 367}),
        json!({"name": "x", "scope": "openid", "resource": "https://nowhere.example"}),
        json!({"name": "x", "scope": "openid", "user_id": alice.id.as_str()}),
    ] {
        alice.post(KEYS, body).await.expect_problem(422);
    }
    server.advance(Duration::from_secs(601));
    let refused = make(&alice, "openid").await.expect_problem(401);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("insufficient_user_authentication"),
        "{challenge}"
    );
    make(&alice.signed_in_again(&server).await, "openid")
        .await
        .expect(201);
}

#[tokio::test]
async fn a_services_key_ends_with_the_service_and_an_owner_has_fifty_at_most() {
    let (server, api, _) = house().await;
    let service = server.service("service", "groups:read").await;
    let app = server.app();
    let create = async || {
        let (id, digest, text) = text::make(app.entropy());
        let key = ApiKey {
            id,
            digest,
            owner: ApiKeyOwner::Client(ClientId::parse(&service.client_id).unwrap()),
            org_id: None,
            name: "deploy".to_owned(),
            scope: Scope::parse("groups:read groups:admin").unwrap(),
            resource: app.config().audience().to_owned(),
            created_at: server.now(),
            expires_at: server.now() + Duration::from_secs(3600),
            last_used_at: None,
            revoked_at: None,
        };
        let context = AuditContext::operator(server.now());
        let create = CreateApiKey {
            key,
            replaces: None,
            context,
        };
        (app.store().write(create).await.unwrap(), text)
    };
    let (made, text) = create().await;
    assert_eq!(made, ApiKeyCreation::Created);
    let said = api.introspects(&server, text.expose()).await;
    assert_eq!(
        (&said["sub"], &said["client_id"], &said["scope"]),
        (&json!("service"), &json!("service"), &json!("groups:read"))
    );
    for _ in 1..ApiKey::MOST {
        assert_eq!(create().await.0, ApiKeyCreation::Created);
    }
    assert_eq!(create().await.0, ApiKeyCreation::TooMany);
}
