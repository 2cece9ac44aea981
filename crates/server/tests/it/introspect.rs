//! Introspection: who may ask, about which tokens, and what is said.

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_jose::{Expect, JwkSet, KeySet};
use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_server::client_auth;
use tokensmith_store::{
    AuditContext, AuthMethod, ChangeClient, Client, ClientChange, ClientSecret, EndSessionsOf,
    OpenFamily, PutResource, RefreshFamily, RegisterClient, Resource, SetUserActive,
};
use tokensmith_testkit::{Answer, TestServer, User};

use crate::claims_of;

const HOUR: Duration = Duration::from_secs(3600);
/// A resource with tokens of its own.
pub(crate) const CHAT: &str = "https://chat.example";

/// A client with a secret, or a public one.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

impl Registered {
    /// Sends a form as this client.
    pub(crate) async fn form(
        &self,
        server: &TestServer,
        path: &str,
        form: &[(&str, &str)],
    ) -> Answer {
        let anonymous = server.anonymous();
        let request = anonymous.request(reqwest::Method::POST, path);
        let Some(secret) = &self.secret else {
            let named = [&[("client_id", self.id.as_str())], form].concat();
            return anonymous.send(request.form(&named)).await;
        };
        let request = request.basic_auth(&self.id, Some(secret)).form(form);
        anonymous.send(request).await
    }

    /// What introspection says to this client.
    pub(crate) async fn introspects(&self, server: &TestServer, token: &str) -> Value {
        let answer = self
            .form(server, "/oauth/introspect", &[("token", token)])
            .await
            .expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.json()
    }

    /// A token of its own for its first resource.
    pub(crate) async fn own_token(&self, server: &TestServer, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let answer = self.form(server, "/oauth/token", &form).await.expect(200);
        answer.text("access_token")
    }
}

/// Registers a client for these resources; without a secret it is a public one.
pub(crate) async fn client(
    server: &TestServer,
    id: &str,
    is_public: bool,
    resources: &[&str],
) -> Registered {
    let (app, now) = (server.app(), server.now());
    let secret = (!is_public).then(|| client_auth::new_secret(app.entropy()));
    let mut secrets = Vec::new();
    if let Some(secret) = &secret {
        let hash = client_auth::hash_secret(app.hashing(), app.entropy(), secret).await;
        secrets.push(ClientSecret {
            id: "first".to_owned(),
            hash: hash.unwrap(),
            created_at: now.as_millis(),
            expires_at: None,
        });
    }
    let client = Client {
        client_id: ClientId::parse(id).unwrap(),
        name: id.to_owned(),
        auth_method: match is_public {
            true => AuthMethod::None,
            false => AuthMethod::ClientSecretBasicOrPost,
        },
        secrets,
        grant_types: match is_public {
            true => vec![GrantType::RefreshToken],
            false => vec![GrantType::ClientCredentials],
        },
        scope: Scope::parse("groups:read").unwrap(),
        resources: resources.iter().map(|&one| one.to_owned()).collect(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: now,
        updated_at: now,
    };
    let context = AuditContext::operator(now);
    let register = RegisterClient { client, context };
    app.store().write(register).await.unwrap();
    Registered {
        id: id.to_owned(),
        secret: secret.map(|secret| secret.expose().to_owned()),
    }
}

/// Declares the chat's resource.
pub(crate) async fn declare_chat(server: &TestServer) {
    let put = PutResource {
        resource: Resource {
            identifier: CHAT.to_owned(),
            name: "Chat".to_owned(),
            scopes: Vec::new(),
            signing_algorithm: None,
            access_token_seconds: None,
            user_claims: None,
            created_at: server.now(),
        },
        context: AuditContext::operator(server.now()),
    };
    let app = server.app();
    app.store().write(put).await.unwrap();
    app.registry().reload(app.store()).await.unwrap();
}

/// The client of the resource that people's own tokens are for.
pub(crate) async fn account_resource(server: &TestServer) -> Registered {
    let audience = server.app().config().audience().to_owned();
    client(server, "account-resource", false, &[&audience]).await
}

/// The server is still there and serves honest people.
pub(crate) async fn still_serves(server: &TestServer, name: &str) {
    let anonymous = server.anonymous();
    let ready = anonymous.request(reqwest::Method::GET, "/ready");
    anonymous.send(ready).await.expect(200);
    let user = server.user(name).await;
    anonymous.renew(&user.refresh_token, &[]).await.expect(200);
}

fn inactive() -> Value {
    json!({"active": false})
}

#[tokio::test]
async fn an_access_token_of_a_user_is_described_to_its_audience() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let alice = alice.signed_in_again(&server).await;
    let resource = account_resource(&server).await;
    let claims = claims_of(&alice.access_token);
    let said = resource.introspects(&server, &alice.access_token).await;
    let expected = json!({
        "active": true, "token_type": "Bearer", "type": "access",
        "scope": "email openid profile", "client_id": "tokensmith-account",
        "username": "alice@example.com", "sub": alice.id.as_str(), "org_id": org,
        "roles": ["owner"], "permissions": [], "iss": server.app().config().issuer.as_str(),
        "aud": claims["aud"], "exp": claims["exp"], "iat": claims["iat"],
        "jti": claims["jti"], "sid": claims["sid"],
        "acr": claims["acr"], "amr": claims["amr"], "auth_time": claims["auth_time"],
    });
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_client_may_ask_about_its_own_token_for_another_resource() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let caller = client(&server, "caller", false, &[CHAT]).await;
    let token = caller.own_token(&server, "groups:read").await;
    let said = caller.introspects(&server, &token).await;
    assert_eq!(said["active"], true);
    assert_eq!(
        (&said["sub"], &said["client_id"]),
        (&json!("caller"), &json!("caller"))
    );
    assert_eq!(said["aud"], json!([CHAT]));
    for absent in ["username", "org_id", "roles", "sid", "nbf"] {
        assert!(said.get(absent).is_none(), "{absent}: {said}");
    }
}

#[tokio::test]
async fn row_138_without_client_authentication_nothing_is_said() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let resource = account_resource(&server).await;
    assert_eq!(
        resource.introspects(&server, &alice.access_token).await["active"],
        true
    );
    let token = ("token", alice.access_token.as_str());
    let anonymous = server.anonymous();
    let id = ("client_id", "account-resource");
    for form in [
        &[token][..],
        &[token, id],
        &[token, id, ("client_secret", "wrong")],
    ] {
        let answer = anonymous.form("/oauth/introspect", form).await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    let bearer = anonymous
        .request(reqwest::Method::POST, "/oauth/introspect")
        .bearer_auth(&alice.access_token)
        .form(&[token]);
    let answer = anonymous.send(bearer).await;
    answer.expect_oauth_error(401, "invalid_client");
    let public = client(&server, "public", true, &[]).await;
    let answer = public.form(&server, "/oauth/introspect", &[token]).await;
    answer.expect_oauth_error(401, "invalid_client");
    assert!(
        server
            .audit_events()
            .await
            .contains(&"introspection_refused".to_owned())
    );
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn row_139_a_client_that_is_not_the_audience_learns_nothing() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let chat = client(&server, "chat", false, &[CHAT]).await;
    let caller = client(&server, "caller", false, &[CHAT]).await;
    let account = account_resource(&server).await;
    let without_resource = client(&server, "no-resource", false, &[]).await;
    let token = caller.own_token(&server, "groups:read").await;
    let alice = server.user("alice").await;
    assert_eq!(chat.introspects(&server, &token).await["active"], true);
    let refused = |events: Vec<String>| {
        events
            .iter()
            .filter(|event| *event == "introspection_refused")
            .count()
    };
    for (number, (client, token)) in [
        (&account, &token),
        (&without_resource, &token),
        (&chat, &alice.access_token),
        (&without_resource, &alice.access_token),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(client.introspects(&server, token).await, inactive());
        assert_eq!(refused(server.audit_events().await), number + 1);
    }
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn row_141_what_is_no_good_token_is_inactive_and_nothing_more() {
    let server = TestServer::start().await;
    let elsewhere = TestServer::start().await;
    let (alice, other) = (server.user("alice").await, elsewhere.user("alice").await);
    let resource = account_resource(&server).await;
    assert_eq!(
        resource.introspects(&server, &alice.access_token).await["active"],
        true
    );
    let (start, _) = alice.access_token.rsplit_once('.').unwrap();
    for token in [
        "nonsense",
        "a.b.c",
        "' OR 1=1--",
        &"x".repeat(20_000),
        &other.access_token,
        &alice.refresh_token,
        &other.refresh_token,
        &format!("{start}.{}", "A".repeat(86)),
        &format!("{} ", alice.access_token),
    ] {
        assert_eq!(
            resource.introspects(&server, token).await,
            inactive(),
            "{token:.40}"
        );
    }
    server.advance(Duration::from_secs(900));
    assert_eq!(
        resource.introspects(&server, &alice.access_token).await,
        inactive()
    );
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn a_token_of_a_disabled_user_an_ended_session_or_a_disabled_client_is_inactive() {
    let server = TestServer::start().await;
    let resource = account_resource(&server).await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let caller_id = ClientId::parse("caller").unwrap();
    let audience = server.app().config().audience().to_owned();
    let caller = client(&server, "caller", false, &[&audience]).await;
    let service = caller.own_token(&server, "groups:read").await;
    for token in [&alice.access_token, &bob.access_token, &service] {
        assert_eq!(resource.introspects(&server, token).await["active"], true);
    }
    let (store, context) = (server.app().store(), AuditContext::operator(server.now()));
    let disable = SetUserActive {
        user_id: alice.id.clone(),
        is_active: false,
        revoked_until: server.now() + HOUR,
        context: context.clone(),
    };
    assert!(store.write(disable).await.unwrap());
    let end = EndSessionsOf {
        user_id: bob.id.clone(),
        except: None,
        reason: "test",
        revoked_until: server.now() + HOUR,
        context: context.clone(),
    };
    assert_eq!(store.write(end).await.unwrap().sessions, 1);
    let disable = ChangeClient {
        client_id: caller_id,
        change: ClientChange::Active(false),
        context,
    };
    store.write(disable).await.unwrap();
    server.app().registry().reload(store).await.unwrap();
    for token in [&alice.access_token, &bob.access_token, &service] {
        assert_eq!(resource.introspects(&server, token).await, inactive());
    }
}

#[tokio::test]
async fn the_first_look_at_a_renewed_token_spends_the_grace_of_the_old_one() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let resource = account_resource(&server).await;
    let renewed = server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200);
    let token = renewed.text("access_token");
    assert_eq!(resource.introspects(&server, &token).await["active"], true);
    let replayed = server.anonymous().renew(&alice.refresh_token, &[]).await;
    replayed.expect_oauth_error(400, "invalid_grant");
    assert_eq!(resource.introspects(&server, &token).await, inactive());
    assert!(
        server
            .audit_events()
            .await
            .contains(&"refresh_token_reuse".to_owned())
    );
}

/// A refresh token family of a client with a secret, in a session of its own; its first token.
async fn family_of(server: &TestServer, client: &Registered, sid: &str, user: &User) -> String {
    let (app, now) = (server.app(), server.now());
    let family = RefreshFamily {
        id: app.entropy().uuid(now).into(),
        root_key: app.refresh_root().id().to_owned(),
        client_id: ClientId::parse(&client.id).unwrap(),
        user_id: Some(user.id.clone()),
        session_id: Some(sid.parse().unwrap()),
        org_id: None,
        scope: Scope::parse("groups:read").unwrap(),
        resources: vec![CHAT.to_owned()],
        confirmation: None,
        generation: 1,
        rotated_at: now,
        successor_used_at: None,
        current_jti: None,
        created_at: now,
        expires_at: now + HOUR * 24,
        idle_expires_at: now + HOUR,
        revoked_at: None,
        revoked_reason: None,
    };
    let token = app.refresh_root().token(&family.id, 1).expose().to_owned();
    let context = AuditContext::operator(now);
    assert!(
        app.store()
            .write(OpenFamily { family, context })
            .await
            .unwrap()
    );
    token
}

#[tokio::test]
async fn a_refresh_token_is_described_to_its_own_client_alone_and_is_no_bearer_token() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let alice = server.user("alice").await;
    let (app, chat) = (
        client(&server, "app", false, &[CHAT]).await,
        client(&server, "chat", false, &[CHAT]).await,
    );
    let sid = claims_of(&alice.access_token)["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let token = family_of(&server, &app, &sid, &alice).await;
    let now = server.now().as_seconds();
    let expected = json!({
        "active": true, "type": "refresh", "scope": "groups:read", "client_id": "app",
        "sub": alice.id.as_str(), "aud": [CHAT], "iss": server.app().config().issuer.as_str(),
        "iat": now, "exp": now + 3600, "sid": sid,
    });
    assert_eq!(app.introspects(&server, &token).await, expected);
    assert_eq!(chat.introspects(&server, &token).await, inactive());
    alice.post("/api/auth/logout", json!({})).await.expect(200);
    assert_eq!(app.introspects(&server, &token).await, inactive());
}

#[tokio::test]
async fn a_signed_answer_is_bound_to_its_asker_and_is_no_access_token() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let resource = account_resource(&server).await;
    let anonymous = server.anonymous();
    let jwks = anonymous.request(reqwest::Method::GET, "/.well-known/jwks.json");
    let jwks = anonymous.send(jwks).await.expect(200);
    let keys = KeySet::from_jwks(&JwkSet::from_slice(jwks.body.as_bytes()).unwrap()).unwrap();
    for (token, is_active) in [(alice.access_token.as_str(), true), ("nonsense", false)] {
        let request = anonymous
            .request(reqwest::Method::POST, "/oauth/introspect")
            .basic_auth(&resource.id, resource.secret.as_ref())
            .header(
                "accept",
                "application/json;q=0.5, application/token-introspection+jwt",
            )
            .form(&[("token", token)]);
        let answer = anonymous.send(request).await.expect(200);
        assert_eq!(
            answer.header("content-type"),
            Some("application/token-introspection+jwt")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let expect = Expect::typ(&["token-introspection+jwt"]);
        let claims: Value = keys.verify(&answer.body, expect).unwrap().claims().unwrap();
        let plain = resource.introspects(&server, token).await;
        assert_eq!(plain["active"], is_active);
        let expected = json!({
            "iss": server.app().config().issuer.as_str(), "aud": "account-resource",
            "iat": server.now().as_seconds(), "token_introspection": plain,
        });
        assert_eq!(claims, expected);
        // Not taken back as a token, neither by introspection nor by the server's own API.
        assert_eq!(
            resource.introspects(&server, &answer.body).await,
            inactive()
        );
        let call = anonymous
            .request(reqwest::Method::GET, "/api/auth/organizations")
            .bearer_auth(&answer.body);
        anonymous.send(call).await.expect_problem(401);
    }
}

#[tokio::test]
async fn a_question_without_a_token_or_with_two_is_refused() {
    let server = TestServer::start().await;
    let resource = account_resource(&server).await;
    for form in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")]] {
        let answer = resource.form(&server, "/oauth/introspect", form).await;
        answer.expect_oauth_error(400, "invalid_request");
    }
    let in_url = resource
        .form(&server, "/oauth/introspect?token=a", &[])
        .await;
    in_url.expect_oauth_error(400, "invalid_request");
}

#[tokio::test]
async fn metadata_names_both_endpoints_and_how_clients_authenticate_there() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let request = anonymous.request(
        reqwest::Method::GET,
        "/.well-known/oauth-authorization-server",
    );
    let metadata = anonymous.send(request).await.expect(200).json();
    let issuer = metadata["issuer"].as_str().unwrap().trim_end_matches('/');
    assert_eq!(
        metadata["introspection_endpoint"],
        format!("{issuer}/oauth/introspect")
    );
    assert_eq!(
        metadata["revocation_endpoint"],
        format!("{issuer}/oauth/revoke")
    );
    assert_eq!(
        metadata["introspection_endpoint_auth_methods_supported"],
        json!([
            "private_key_jwt",
            "client_secret_basic",
            "client_secret_post"
        ])
    );
    assert_eq!(
        metadata["revocation_endpoint_auth_methods_supported"],
        json!([
            "private_key_jwt",
            "client_secret_basic",
            "client_secret_post",
            "none"
        ])
    );
    assert_eq!(
        metadata["introspection_signing_alg_values_supported"],
        json!(["ES256"])
    );
}
