//! Token exchange: who may exchange what, what the new token says, and what ends it.

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_jose::Algorithm;
use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_resource_server::{Principal, ResourceServer};
use tokensmith_server::keys::KeySigner;
use tokensmith_store::{
    AuditContext, Client, ExchangeMode, ExchangeRule, OpenFamily, PutClient, PutResource,
    RefreshFamily, Resource, RevocationKind, Revoke, TokenNames,
};
use tokensmith_testkit::{Answer, TestServer, User};

use crate::{
    claims_of,
    dpop::Key,
    introspect::{CHAT, Registered, client, declare_chat},
    revocation_feed::{clock, follower, refusal, service_for},
};

/// The resource behind the chat.
pub(crate) const BILLING: &str = "https://billing.example";
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Alice uses the edge, which calls the gateway with her token; the gateway exchanges it to call billing.
pub(crate) struct House {
    pub(crate) server: TestServer,
    pub(crate) alice: User,
    pub(crate) edge: Registered,
    pub(crate) gateway: Registered,
    pub(crate) billing: Registered,
    /// Alice's, held by the edge.
    pub(crate) refresh_token: String,
    /// Alice's for the chat, with `groups:read groups:write`.
    pub(crate) subject_token: String,
}

impl House {
    pub(crate) async fn open() -> Self {
        let server = TestServer::start().await;
        declare_chat(&server).await;
        declare(&server, BILLING, &[]).await;
        let alice = server.user("alice").await;
        let edge = client(&server, "edge", false, &[CHAT]).await;
        let gateway = client(&server, "gateway", false, &[CHAT, BILLING]).await;
        let billing = client(&server, "billing", false, &[BILLING]).await;
        change(&server, "edge", |edge| {
            edge.grant_types.push(GrantType::RefreshToken);
            edge.scope = scope("groups:write");
        })
        .await;
        change(&server, "gateway", |gateway| {
            gateway.grant_types.push(GrantType::TokenExchange);
            gateway.scope = scope("groups:write");
            gateway.metadata.token_exchange = vec![rule()];
        })
        .await;
        let opened = family(&server, &alice, "groups:read groups:write").await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", &opened)];
        let renewed = edge.form(&server, "/oauth/token", &form).await.expect(200);
        Self {
            subject_token: renewed.text("access_token"),
            refresh_token: renewed.text("refresh_token"),
            server,
            alice,
            edge,
            gateway,
            billing,
        }
    }

    /// The gateway exchanges this token for one for billing.
    pub(crate) async fn exchanges(&self, token: &str, more: &[(&str, &str)]) -> Answer {
        self.exchanges_as(&self.gateway, token, more).await
    }

    pub(crate) async fn exchanges_as(
        &self,
        client: &Registered,
        token: &str,
        more: &[(&str, &str)],
    ) -> Answer {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        let form = [&form, more].concat();
        client.form(&self.server, "/oauth/token", &form).await
    }

    pub(crate) async fn exchanged(&self) -> String {
        let answer = self.exchanges(&self.subject_token, &[]).await;
        answer.expect(200).text("access_token")
    }

    async fn is_active(&self, token: &str) -> bool {
        self.billing.introspects(&self.server, token).await["active"] == true
    }

    pub(crate) async fn changes(&self, client: &str, change_it: impl FnOnce(&mut Client)) {
        change(&self.server, client, change_it).await;
    }

    /// Any claims, under the server's own key.
    pub(crate) fn signs(&self, claims: &Value) -> String {
        let keys = self.server.app().keys().current();
        match keys.access_tokens(Algorithm::Es256, self.server.now()) {
            Some(KeySigner::Held(signer)) => signer.sign(claims).unwrap(),
            other => panic!("{other:?} is no key in memory"),
        }
    }

    /// Alice's claims for the chat with some changed, under the server's own key.
    fn with(&self, members: &Value) -> String {
        let mut claims = claims_of(&self.subject_token);
        for (name, value) in members.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.signs(&claims)
    }
}

pub(crate) fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

pub(crate) fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

/// What the gateway may do: act for those whose tokens the edge shows it, at billing, reading.
pub(crate) fn rule() -> ExchangeRule {
    ExchangeRule {
        subject_clients: vec![id("edge")],
        subject_audiences: vec![CHAT.to_owned()],
        resources: vec![BILLING.to_owned()],
        scope: scope("groups:read"),
        mode: ExchangeMode::Delegation,
    }
}

pub(crate) async fn declare(server: &TestServer, identifier: &str, scopes: &[&str]) {
    let resource = Resource {
        identifier: identifier.to_owned(),
        name: identifier.to_owned(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        signing_algorithm: None,
        access_token_seconds: None,
        user_claims: None,
        created_at: server.now(),
    };
    let context = AuditContext::operator(server.now());
    let app = server.app();
    app.store()
        .write(PutResource { resource, context })
        .await
        .unwrap();
    server.reload().await;
}

/// Changes a client as its operator would.
pub(crate) async fn change(server: &TestServer, name: &str, change: impl FnOnce(&mut Client)) {
    let app = server.app();
    let mut client = app.store().client(&id(name)).await.unwrap().unwrap();
    change(&mut client);
    let context = AuditContext::operator(server.now());
    app.store()
        .write(PutClient { client, context })
        .await
        .unwrap();
    server.reload().await;
}

/// Alice has let the edge act for her; the first refresh token of that.
async fn family(server: &TestServer, alice: &User, granted: &str) -> String {
    let (app, now) = (server.app(), server.now());
    let sid = claims_of(&alice.access_token)["sid"]
        .as_str()
        .unwrap()
        .parse();
    let family = RefreshFamily {
        id: app.entropy().uuid(now).into(),
        root_key: app.refresh_root().id().to_owned(),
        client_id: id("edge"),
        user_id: Some(alice.id.clone()),
        session_id: Some(sid.unwrap()),
        org_id: None,
        scope: scope(granted),
        resources: vec![CHAT.to_owned()],
        confirmation: None,
        generation: 1,
        rotated_at: now,
        successor_used_at: None,
        current_jti: None,
        created_at: now,
        expires_at: now + Duration::from_secs(86_400),
        idle_expires_at: now + Duration::from_secs(86_400),
        revoked_at: None,
        revoked_reason: None,
    };
    let token = app.refresh_root().token(&family.id, 1).expose().to_owned();
    let context = AuditContext::operator(now);
    let opened = app.store().write(OpenFamily { family, context }).await;
    assert!(opened.unwrap());
    token
}

#[tokio::test]
async fn a_users_token_becomes_one_for_another_resource_that_says_who_acts() {
    let house = House::open().await;
    let before = claims_of(&house.subject_token);
    let answer = house.exchanges(&house.subject_token, &[]).await.expect(200);
    assert_eq!(answer.text("issued_token_type"), ACCESS_TOKEN);
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(answer.text("scope"), "groups:read");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.json().get("refresh_token").is_none());
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(claims["aud"], json!([BILLING]));
    assert_eq!(claims["client_id"], "gateway");
    assert_eq!(claims["act"], json!({"sub": "gateway"}));
    for kept in ["sub", "sid", "grant_id", "email", "iss"] {
        assert!(claims[kept].is_string(), "{kept}");
        assert_eq!(claims[kept], before[kept], "{kept}");
    }
    assert_ne!(claims["jti"], before["jti"]);
    let ancestors = json!([{"jti": before["jti"], "client_id": "edge"}]);
    assert_eq!(claims["derived_from"], ancestors);
    let said = house
        .billing
        .introspects(&house.server, &answer.text("access_token"))
        .await;
    assert_eq!(said["active"], true);
    assert_eq!(said["act"], json!({"sub": "gateway"}));
    assert_eq!(said["sub"], house.alice.id.as_str());
}

#[tokio::test]
async fn an_exchange_is_recorded_with_both_clients_and_the_family() {
    let house = House::open().await;
    let token = house.exchanged().await;
    let records = house.server.audit().await;
    let line = records.last().unwrap();
    assert_eq!(line.event, "token_exchanged");
    let line: Value = serde_json::from_str(&line.body).unwrap();
    let (claims, subject) = (claims_of(&token), claims_of(&house.subject_token));
    assert_eq!(line["client_id"], "gateway");
    assert_eq!(line["actor"], "client:gateway");
    assert_eq!(line["user_id"], house.alice.id.as_str());
    assert_eq!(line["grant_id"], subject["grant_id"]);
    let text = line.to_string();
    for named in [
        "edge",
        claims["jti"].as_str().unwrap(),
        subject["jti"].as_str().unwrap(),
    ] {
        assert!(text.contains(named), "{named} in {text}");
    }
    assert!(!text.contains(&token) && !text.contains(&house.subject_token));
}

#[tokio::test]
async fn whatever_ends_the_subject_token_ends_what_was_made_of_it() {
    const ENDS: [&str; 7] = [
        "nothing", "family", "token", "session", "user", "edge", "gateway",
    ];
    for end in ENDS {
        let house = House::open().await;
        let token = house.exchanged().await;
        assert!(house.is_active(&token).await, "{end}");
        let revoke = async |token: &str| {
            let form = [("token", token)];
            let answer = house.edge.form(&house.server, "/oauth/revoke", &form);
            answer.await.expect(200);
        };
        let (store, now) = (house.server.app().store(), house.server.now());
        match end {
            "nothing" => {}
            "family" => revoke(&house.refresh_token).await,
            "token" => revoke(&house.subject_token).await,
            "session" => {
                let answer = house.alice.post("/api/auth/logout", json!({})).await;
                answer.expect(200);
            }
            "user" => {
                let disable = tokensmith_store::SetUserActive {
                    user_id: house.alice.id.clone(),
                    is_active: false,
                    revoked_until: now + Duration::from_secs(3600),
                    context: AuditContext::operator(now),
                };
                store.write(disable).await.unwrap();
            }
            client => {
                house
                    .changes(client, |client| client.is_active = false)
                    .await
            }
        }
        assert_eq!(house.is_active(&token).await, end == "nothing", "{end}");
        if end != "gateway" {
            let again = house.exchanges(&house.subject_token, &[]).await;
            assert_eq!(
                again.status == 200,
                end == "nothing",
                "{end}: {}",
                again.body
            );
        }
    }
}

#[tokio::test]
async fn validating_services_learn_from_the_feed_what_the_end_of_a_subject_token_means() {
    for end in ["family", "token", "session", "edge", "gateway"] {
        let house = House::open().await;
        let token = house.exchanged().await;
        let feed = follower(house.server.base(), &house.server, &house.billing).start();
        let (service, _feed) = service_for(&house.server, feed.unwrap(), BILLING).await;
        assert_eq!(refusal(&service, &token).await, None, "{end}");
        let revoke = async |token: &str| {
            let form = [("token", token)];
            let answer = house.edge.form(&house.server, "/oauth/revoke", &form);
            answer.await.expect(200);
        };
        match end {
            "family" => revoke(&house.refresh_token).await,
            "token" => revoke(&house.subject_token).await,
            "session" => {
                let answer = house.alice.post("/api/auth/logout", json!({})).await;
                answer.expect(200);
            }
            client => {
                let revoke = Revoke {
                    kind: RevocationKind::Client,
                    subject: client.to_owned(),
                    expires_at: house.server.now() + Duration::from_secs(3600),
                    names: TokenNames::default(),
                    context: AuditContext::operator(house.server.now()),
                };
                assert!(house.server.app().store().write(revoke).await.unwrap());
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(refusal(&service, &token).await, Some(401), "{end}");
    }
}

#[tokio::test]
async fn the_new_token_ends_with_the_subject_token_and_not_later() {
    let house = House::open().await;
    house.server.advance(Duration::from_secs(600));
    let answer = house.exchanges(&house.subject_token, &[]).await.expect(200);
    assert_eq!(answer.json()["expires_in"], 300);
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(claims["exp"], claims_of(&house.subject_token)["exp"]);
    house.server.advance(Duration::from_millis(299_999));
    let answer = house.exchanges(&house.subject_token, &[]).await.expect(200);
    assert_eq!(answer.json()["expires_in"], 1);
    house.server.advance(Duration::from_millis(1));
    let answer = house.exchanges(&house.subject_token, &[]).await;
    answer.expect_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn scope_is_what_token_rule_client_and_resource_have_in_common() {
    let house = House::open().await;
    let ask = async |more: &[(&str, &str)]| house.exchanges(&house.subject_token, more).await;
    let read = ("scope", "groups:read");
    let write = ("scope", "groups:write");
    assert_eq!(ask(&[read]).await.expect(200).text("scope"), "groups:read");
    ask(&[write]).await.expect_oauth_error(400, "invalid_scope");
    let rule_for = |text: &str| {
        let rule = ExchangeRule {
            scope: scope(text),
            ..rule()
        };
        move |client: &mut Client| client.metadata.token_exchange = vec![rule]
    };
    house.changes("gateway", rule_for("groups:admin")).await;
    ask(&[write]).await.expect(200);
    let admin = ("scope", "groups:admin");
    ask(&[admin]).await.expect_oauth_error(400, "invalid_scope");
    assert_eq!(
        ask(&[]).await.expect(200).text("scope"),
        "groups:read groups:write"
    );
    declare(&house.server, BILLING, &["groups:read"]).await;
    assert_eq!(ask(&[]).await.expect(200).text("scope"), "groups:read");
    ask(&[write]).await.expect_oauth_error(400, "invalid_scope");
    house
        .changes("gateway", |client| client.scope = scope("members:read"))
        .await;
    ask(&[]).await.expect_oauth_error(400, "invalid_scope");
}

#[tokio::test]
async fn the_target_is_one_that_the_rule_and_the_registration_name() {
    let house = House::open().await;
    let ask = async |more: &[(&str, &str)]| house.exchanges(&house.subject_token, more).await;
    for good in [
        &[("resource", BILLING)][..],
        &[("audience", BILLING)],
        &[("audience", BILLING), ("resource", BILLING)],
    ] {
        let answer = ask(good).await.expect(200);
        let claims = claims_of(&answer.text("access_token"));
        assert_eq!(claims["aud"], json!([BILLING]));
    }
    let default = house.server.app().config().audience().to_owned();
    for bad in [
        &[("resource", CHAT)][..],
        &[("audience", &default)],
        &[("audience", "gateway")],
        &[("resource", BILLING), ("audience", CHAT)],
        &[("resource", BILLING), ("resource", BILLING)],
        &[("audience", BILLING), ("audience", CHAT)],
    ] {
        ask(bad).await.expect_oauth_error(400, "invalid_target");
    }
    house
        .changes("gateway", |client| client.resources = vec![CHAT.to_owned()])
        .await;
    ask(&[]).await.expect_oauth_error(400, "invalid_target");
    // A rule without resources keeps the audience.
    house
        .changes("gateway", |client| {
            client.metadata.token_exchange[0].resources.clear()
        })
        .await;
    let claims = claims_of(&ask(&[]).await.expect(200).text("access_token"));
    assert_eq!(claims["aud"], json!([CHAT]));
    ask(&[("resource", BILLING)])
        .await
        .expect_oauth_error(400, "invalid_target");
}

#[tokio::test]
async fn impersonation_needs_a_rule_of_its_own_and_never_hides_an_actor() {
    let house = House::open().await;
    let delegated = house.exchanged().await;
    house
        .changes("gateway", |client| {
            let rule = ExchangeRule {
                mode: ExchangeMode::Impersonation,
                subject_clients: vec![id("edge"), id("gateway")],
                subject_audiences: vec![CHAT.to_owned(), BILLING.to_owned()],
                ..rule()
            };
            client.metadata.token_exchange = vec![rule];
        })
        .await;
    let claims = claims_of(&house.exchanged().await);
    assert!(claims.get("act").is_none(), "{claims}");
    assert_eq!(claims["sub"], house.alice.id.as_str());
    assert_eq!(claims["client_id"], "gateway");
    let answer = house.exchanges(&delegated, &[]).await.expect(200);
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(
        claims["act"],
        json!({"sub": "gateway", "act": {"sub": "gateway"}})
    );
    // With an actor token the actor is told, whatever the mode.
    let own = house.gateway.own_token(&house.server, "groups:read").await;
    let actor = [("actor_token", own.as_str()), ("actor_token_type", JWT)];
    let answer = house
        .exchanges(&house.subject_token, &actor)
        .await
        .expect(200);
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(claims["act"], json!({"sub": "gateway"}));
}

#[tokio::test]
async fn a_chain_of_actors_and_of_tokens_is_told_whole_and_is_bounded() {
    let house = House::open().await;
    house
        .changes("gateway", |client| {
            let own = ExchangeRule {
                subject_clients: vec![id("gateway")],
                subject_audiences: vec![BILLING.to_owned()],
                ..rule()
            };
            client.metadata.token_exchange.push(own);
        })
        .await;
    let mut token = house.subject_token.clone();
    for length in 1..=4 {
        token = house
            .exchanges(&token, &[])
            .await
            .expect(200)
            .text("access_token");
        let claims = claims_of(&token);
        assert_eq!(claims["derived_from"].as_array().unwrap().len(), length);
        assert_eq!(claims["act"].to_string().matches("gateway").count(), length);
        assert!(house.is_active(&token).await);
    }
    let answer = house.exchanges(&token, &[]).await;
    answer.expect_oauth_error(400, "invalid_request");
    // The first of all ends the last.
    let form = [("token", house.subject_token.as_str())];
    house
        .edge
        .form(&house.server, "/oauth/revoke", &form)
        .await
        .expect(200);
    assert!(!house.is_active(&token).await);
}

#[tokio::test]
async fn a_user_may_be_the_actor_and_the_end_of_the_actor_ends_the_token() {
    let house = House::open().await;
    let agent = house.server.user("agent").await;
    let claims = claims_of(&agent.access_token);
    // As if the agent had signed in through the gateway.
    let through_gateway = house.with(&json!({
        "sub": claims["sub"], "sid": claims["sid"], "email": claims["email"], "jti": "agents",
        "client_id": "gateway", "grant_id": "none", "exp": claims["exp"],
    }));
    let actor = |token: &str| {
        [
            ("actor_token", token.to_owned()),
            ("actor_token_type", ACCESS_TOKEN.to_owned()),
        ]
    };
    let ask = async |token: &str| {
        let actor = actor(token);
        let more: Vec<(&str, &str)> = actor
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        house.exchanges(&house.subject_token, &more).await
    };
    let token = ask(&through_gateway).await.expect(200).text("access_token");
    assert_eq!(claims_of(&token)["act"], json!({"sub": agent.id.as_str()}));
    assert_eq!(claims_of(&token)["sub"], house.alice.id.as_str());
    assert!(house.is_active(&token).await);
    // A token of another client is no proof of this client's actor, nor is one that was exchanged.
    ask(&agent.access_token)
        .await
        .expect_oauth_error(400, "invalid_grant");
    ask(&token).await.expect_oauth_error(400, "invalid_grant");
    ask("nonsense")
        .await
        .expect_oauth_error(400, "invalid_request");
    agent.post("/api/auth/logout", json!({})).await.expect(200);
    assert!(!house.is_active(&token).await);
    ask(&through_gateway)
        .await
        .expect_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn may_act_means_one_party_and_rules_do_not_widen_it() {
    let house = House::open().await;
    house
        .changes("edge", |edge| edge.metadata.may_act = Some(id("billing")))
        .await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &house.refresh_token),
    ];
    let renew = async || {
        let answer = house.edge.form(&house.server, "/oauth/token", &form).await;
        answer.expect(200).text("access_token")
    };
    let token = renew().await;
    assert_eq!(claims_of(&token)["may_act"], json!({"sub": "billing"}));
    let answer = house.exchanges(&token, &[]).await;
    answer.expect_oauth_error(400, "unauthorized_client");
    let ours = house.server.app().config().issuer.as_str().to_owned();
    for (may_act, status) in [
        (json!({"sub": "gateway"}), 200),
        (json!({"sub": "gateway", "iss": ours}), 200),
        (json!({"sub": "gateway", "iss": "https://evil.test"}), 400),
        (json!({"sub": "Gateway"}), 400),
        (json!({"sub": ["gateway"]}), 400),
        (json!({}), 400),
        (Value::Null, 400),
        (json!("gateway"), 400),
    ] {
        let token = house.with(&json!({"may_act": may_act}));
        let answer = house.exchanges(&token, &[]).await;
        assert_eq!(answer.status, status, "{may_act}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_service_stays_the_subject_and_validating_services_see_who_acts() {
    let house = House::open().await;
    let own = house.edge.own_token(&house.server, "groups:read").await;
    let token = house
        .exchanges(&own, &[])
        .await
        .expect(200)
        .text("access_token");
    let claims = claims_of(&token);
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&json!("edge"), &json!("gateway"))
    );
    assert!(claims.get("sid").is_none() && claims.get("email").is_none());
    assert!(house.is_active(&token).await);
    let issuer = house.server.app().config().issuer.as_str();
    let service = ResourceServer::builder(issuer, BILLING)
        .jwks_uri(format!("{}/.well-known/jwks.json", house.server.base()))
        .clock(clock(&house.server))
        .build()
        .unwrap();
    let caller = service.verify(&token).await.unwrap();
    assert!(
        matches!(caller.principal(), Principal::Service(service) if service.client_id == "edge")
    );
    let actors: Vec<&str> = caller
        .token()
        .actors()
        .map(|actor| actor.sub.as_str())
        .collect();
    assert_eq!(actors, ["gateway"]);
    for client in ["edge", "gateway"] {
        house
            .changes(client, |client| client.is_active = false)
            .await;
        assert!(!house.is_active(&token).await, "{client}");
        house
            .changes(client, |client| client.is_active = true)
            .await;
        assert!(house.is_active(&token).await, "{client}");
    }
    // Impersonation is for users: there would be no telling who called.
    house
        .changes("gateway", |client| {
            client.metadata.token_exchange[0].mode = ExchangeMode::Impersonation;
        })
        .await;
    let answer = house.exchanges(&own, &[]).await.expect(200);
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(claims["act"], json!({"sub": "gateway"}));
}

#[tokio::test]
async fn an_exchanged_token_is_no_sign_in_and_its_own_scope_counts() {
    let house = House::open().await;
    let default = house.server.app().config().audience().to_owned();
    house
        .changes("gateway", |client| {
            client.resources.push(default.clone());
            client.metadata.token_exchange[0].resources = vec![default.clone()];
        })
        .await;
    let token = house.exchanged().await;
    let get = async |path: &str| {
        let anonymous = house.server.anonymous();
        let request = anonymous.request(reqwest::Method::GET, path);
        anonymous.send(request.bearer_auth(&token)).await
    };
    get("/api/auth/organizations").await.expect_problem(403);
    let group = "/api/auth/groups/0197a5c2-7d31-7aa0-9c7e-0123456789ab";
    get(group).await.expect_problem(404);
    get(&format!("{group}/members")).await.expect_problem(404);
    let form = [("token", house.subject_token.as_str())];
    house
        .edge
        .form(&house.server, "/oauth/revoke", &form)
        .await
        .expect(200);
    get(group).await.expect_problem(401);
}

#[tokio::test]
async fn a_request_that_is_not_whole_is_told_what_is_wrong() {
    let house = House::open().await;
    let subject = ("subject_token", house.subject_token.as_str());
    let kind = ("subject_token_type", ACCESS_TOKEN);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "subject_token is missing"),
        (&[kind], "subject_token is missing"),
        (&[subject], "subject_token_type is missing"),
        (
            &[subject, ("subject_token_type", "access_token")],
            "subject_token_type must be",
        ),
        (
            &[subject, kind, ("actor_token_type", JWT)],
            "actor_token is missing",
        ),
        (
            &[subject, kind, ("actor_token", "x")],
            "actor_token_type is missing",
        ),
        (&[subject, kind, kind], "more than once"),
        (
            &[subject, kind, ("requested_token_type", JWT)],
            "requested_token_type",
        ),
        (
            &[
                subject,
                kind,
                (
                    "requested_token_type",
                    "urn:ietf:params:oauth:token-type:refresh_token",
                ),
            ],
            "requested_token_type",
        ),
    ];
    for (form, said) in cases {
        let form = [&[("grant_type", EXCHANGE)], *form].concat();
        let answer = house
            .gateway
            .form(&house.server, "/oauth/token", &form)
            .await;
        let answer = answer.expect_oauth_error(400, "invalid_request");
        assert!(
            answer.text("error_description").contains(said),
            "{said}: {}",
            answer.body
        );
    }
    let asked = [("requested_token_type", ACCESS_TOKEN)];
    house
        .exchanges(&house.subject_token, &asked)
        .await
        .expect(200);
    house
        .changes("gateway", |client| {
            client.auth_method = tokensmith_store::AuthMethod::None
        })
        .await;
    let public = Registered {
        secret: None,
        ..house.gateway.clone()
    };
    let answer = house.exchanges_as(&public, &house.subject_token, &[]).await;
    answer.expect_oauth_error(400, "unauthorized_client");
}

#[tokio::test]
async fn a_token_bound_to_a_key_is_exchanged_with_proof_of_that_key_alone() {
    let house = House::open().await;
    house
        .exchanges(&house.with(&json!({})), &[])
        .await
        .expect(200);
    let (key, other) = (Key::new(), Key::new());
    let bound = house.with(&json!({"cnf": key.confirmation()}));
    let ask = async |token: &str, key: Option<&Key>| {
        let anonymous = house.server.anonymous();
        let request = anonymous.request(reqwest::Method::POST, "/oauth/token");
        let request = request.basic_auth("gateway", house.gateway.secret.as_ref());
        let request = request.form(&[
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", ACCESS_TOKEN),
        ]);
        let request = match key {
            Some(key) => request.header("dpop", key.proof(&house.server, None)),
            None => request,
        };
        anonymous.send(request).await
    };
    for wrong in [None, Some(&other)] {
        let answer = ask(&bound, wrong).await;
        answer.expect_oauth_error(400, "invalid_dpop_proof");
    }
    let answer = ask(&bound, Some(&key)).await.expect(200);
    assert_eq!(answer.text("token_type"), "DPoP");
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(claims["cnf"], json!(key.confirmation()));
    // A bearer token may gain a key on the way.
    let answer = ask(&house.subject_token, Some(&other)).await.expect(200);
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(claims["cnf"], json!(other.confirmation()));
    for (cnf, code) in [
        (
            json!({"x5t#S256": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}),
            "invalid_grant",
        ),
        (Value::Null, "invalid_request"),
        (json!({}), "invalid_request"),
        (json!({"kid": "x"}), "invalid_request"),
    ] {
        let token = house.with(&json!({"cnf": cnf}));
        ask(&token, Some(&key)).await.expect_oauth_error(400, code);
    }
}
