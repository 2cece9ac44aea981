//! Tokens that are bound to a key (RFC 9449): at the token endpoint, at introspection, at the server's own APIs.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokensmith_jose::{
    Algorithm, SigningKey,
    dpop::{Prover, Request},
};
use tokensmith_oauth2::{ClientId, Confirmation, GrantType, Scope};
use tokensmith_server::token::{Grant, Redemption, Subject, UserSubject, issue};
use tokensmith_store::{AuditContext, AuthMethod, Client, ClientMetadata, PutClient};
use tokensmith_testkit::{Answer, Service, TestServer, User};

use super::claims_of;

const ORGS: &str = "/api/auth/organizations";

/// A client's key.
pub(crate) struct Key(pub(crate) Prover);

impl Key {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        Self(Prover::new(Arc::new(key)).unwrap())
    }

    pub(crate) fn confirmation(&self) -> Confirmation {
        Confirmation::Jkt(self.0.key())
    }

    /// A proof for a request of the token endpoint.
    pub(crate) fn proof(&self, server: &TestServer, nonce: Option<&str>) -> String {
        let url = url(server, "/oauth/token");
        let request = Request {
            method: "POST",
            url: &url,
            now: server.now().as_seconds(),
            access_token: None,
        };
        self.0.prove(&request, nonce).unwrap()
    }

    /// A proof for a request with an access token.
    pub(crate) fn shows(&self, server: &TestServer, request: (&str, &str), token: &str) -> String {
        let url = url(server, request.1);
        let request = Request {
            method: request.0,
            url: &url,
            now: server.now().as_seconds(),
            access_token: Some(token),
        };
        self.0.prove(&request, None).unwrap()
    }
}

/// The public address of a path.
pub(crate) fn url(server: &TestServer, path: &str) -> String {
    server.app().config().issuer.endpoint(path)
}

/// Asks the token endpoint as a service, with these values of the DPoP header.
pub(crate) async fn ask(server: &TestServer, service: &Service, proofs: &[&str]) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", service.client_id.as_str()),
        ("client_secret", &service.secret),
        ("scope", "groups:read"),
    ];
    let anonymous = server.anonymous();
    let request = anonymous.request(Method::POST, "/oauth/token").form(&form);
    anonymous.send(with_proofs(request, proofs)).await
}

fn with_proofs(request: RequestBuilder, proofs: &[&str]) -> RequestBuilder {
    proofs
        .iter()
        .fold(request, |request, proof| request.header("dpop", *proof))
}

/// Shows a token at an API of the server.
pub(crate) async fn show(
    server: &TestServer,
    scheme: &str,
    token: &str,
    proofs: &[&str],
) -> Answer {
    show_at(server, ORGS, (scheme, token), proofs).await
}

/// Shows a token at this path.
pub(crate) async fn show_at(
    server: &TestServer,
    path: &str,
    (scheme, token): (&str, &str),
    proofs: &[&str],
) -> Answer {
    let anonymous = server.anonymous();
    let request = anonymous
        .request(Method::GET, path)
        .header("authorization", format!("{scheme} {token}"));
    anonymous.send(with_proofs(request, proofs)).await
}

/// The challenges of an answer, one line each.
pub(crate) fn challenges(answer: &Answer) -> Vec<&str> {
    let values = answer.headers.get_all("www-authenticate").iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

/// Registers or changes a public client that renews.
async fn public_client(server: &TestServer, metadata: ClientMetadata) -> ClientId {
    let client_id = ClientId::parse("app").unwrap();
    let client = Client {
        client_id: client_id.clone(),
        name: "app".to_owned(),
        auth_method: AuthMethod::None,
        secrets: Vec::new(),
        grant_types: vec![GrantType::RefreshToken],
        scope: Scope::parse("groups:read").unwrap(),
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata,
        is_active: true,
        created_at: server.now(),
        updated_at: server.now(),
    };
    put(server, client).await;
    client_id
}

pub(crate) async fn put(server: &TestServer, client: Client) {
    let context = AuditContext::operator(server.now());
    let store = server.app().store();
    store.write(PutClient { client, context }).await.unwrap();
    server.app().registry().reload(store).await.unwrap();
}

pub(crate) async fn change(server: &TestServer, id: &str, metadata: ClientMetadata) {
    let id = ClientId::parse(id).unwrap();
    let client = server.app().store().client(&id).await.unwrap().unwrap();
    put(server, Client { metadata, ..client }).await;
}

/// What a grant in a user's session yields, to the client `app`.
async fn granted(server: &TestServer, user: &User, key: Option<&Key>) -> (String, String) {
    let client = public_client(server, ClientMetadata::default()).await;
    let app = server.app();
    let client = app.registry().client(app.store(), &client).await.unwrap();
    let client = client.unwrap();
    let session = claims_of(&user.access_token)["sid"].clone();
    let subject = Subject::User(UserSubject {
        user_id: user.id.clone(),
        org_id: None,
        session_id: session.as_str().unwrap().parse().unwrap(),
    });
    let grant = Grant {
        default_scope: Some(client.allowed_scope.clone()),
        confirmation: key.map(Key::confirmation),
        redemption: Redemption::NewFamily,
        ..Grant::new("test", subject, client.allowed_scope.clone())
    };
    let context = tokensmith_server::context::RequestContext {
        now: server.now(),
        ip: None,
        correlation_id: None,
        limits: None,
        certificate: None,
    };
    let issued = issue(app, &client, grant, &context).await.unwrap().response;
    (
        issued.access_token.expose().to_owned(),
        issued.refresh_token.unwrap().expose().to_owned(),
    )
}

async fn renew(server: &TestServer, token: &str, key: Option<&Key>) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "app"),
        ("refresh_token", token),
    ];
    let anonymous = server.anonymous();
    let mut request = anonymous.request(Method::POST, "/oauth/token").form(&form);
    if let Some(key) = key {
        request = request.header("dpop", key.proof(server, None));
    }
    anonymous.send(request).await
}

#[tokio::test]
async fn a_service_gets_a_token_that_is_bound_to_the_key_it_shows() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let plain = ask(&server, &service, &[]).await.expect(200);
    assert_eq!(plain.text("token_type"), "Bearer");
    assert!(claims_of(&plain.text("access_token")).get("cnf").is_none());
    let key = Key::new();
    let bound = ask(&server, &service, &[&key.proof(&server, None)]).await;
    let bound = bound.expect(200);
    assert_eq!(bound.text("token_type"), "DPoP");
    let token = bound.text("access_token");
    let jkt = key.0.key().to_string();
    assert_eq!(claims_of(&token)["cnf"], json!({"jkt": jkt}));
    let form = [
        ("token", token.as_str()),
        ("client_id", &service.client_id),
        ("client_secret", &service.secret),
    ];
    let shown = server.anonymous().form("/oauth/introspect", &form).await;
    let shown = shown.expect(200).json();
    assert_eq!(shown["active"], true);
    assert_eq!(shown["token_type"], "DPoP");
    assert_eq!(shown["cnf"], json!({"jkt": jkt}));
    let issued = server.audit().await.into_iter().rev();
    let mut issued = issued.filter(|line| line.event == "token_issued");
    assert!(issued.any(|line| line.body.contains(&jkt)));
}

#[tokio::test]
async fn a_proof_may_name_the_address_for_clients_with_certificates() {
    let base = "https://mtls.example.com";
    let server = TestServer::start_with(|config| {
        config.mtls.base_url = Some(tokensmith_server::config::Issuer::parse(base).unwrap());
    })
    .await;
    let service = server.service("service", "groups:read").await;
    let key = Key::new();
    for (url, status) in [
        ("https://mtls.example.com/oauth/token", 200),
        ("https://mtls.example.com/oauth/introspect", 400),
        ("https://evil.example.com/oauth/token", 400),
    ] {
        let request = Request {
            method: "POST",
            url,
            now: server.now().as_seconds(),
            access_token: None,
        };
        let proof = key.0.prove(&request, None).unwrap();
        ask(&server, &service, &[&proof]).await.expect(status);
    }
}

#[tokio::test]
async fn the_metadata_names_the_signatures_of_proofs() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let path = "/.well-known/oauth-authorization-server";
    let metadata = anonymous.send(anonymous.request(Method::GET, path)).await;
    assert_eq!(
        metadata.expect(200).json()["dpop_signing_alg_values_supported"],
        json!(["ES256", "EdDSA", "PS256"])
    );
}

#[tokio::test]
async fn the_refresh_token_of_a_public_client_is_good_with_its_key_alone_and_nobody_else_ends_it() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (key, thief) = (Key::new(), Key::new());
    let (_, first) = granted(&server, &alice, Some(&key)).await;
    let answer = renew(&server, &first, Some(&key)).await.expect(200);
    assert_eq!(answer.text("token_type"), "DPoP");
    let second = answer.text("refresh_token");
    let third = renew(&server, &second, Some(&key)).await.expect(200);
    server.advance(Duration::from_secs(120));
    for stolen in [&first, &second, &third.text("refresh_token")] {
        for shown in [None, Some(&thief)] {
            let refused = renew(&server, stolen, shown).await;
            refused.expect_oauth_error(400, "invalid_dpop_proof");
        }
    }
    let events = server.audit_events().await;
    assert!(!events.contains(&"refresh_token_reuse".to_owned()));
    let third = third.text("refresh_token");
    renew(&server, &third, Some(&key)).await.expect(200);
    let reused = renew(&server, &first, Some(&key)).await;
    reused.expect_oauth_error(400, "invalid_grant");
    let events = server.audit_events().await;
    assert!(events.contains(&"refresh_token_reuse".to_owned()));
}

#[tokio::test]
async fn a_refresh_token_that_was_issued_without_a_key_is_not_bound_later() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (_, token) = granted(&server, &alice, None).await;
    let refused = renew(&server, &token, Some(&Key::new())).await;
    refused.expect_oauth_error(400, "invalid_grant");
    let renewed = renew(&server, &token, None).await.expect(200);
    assert_eq!(renewed.text("token_type"), "Bearer");
}

#[tokio::test]
async fn a_client_whose_tokens_must_be_bound_gets_none_without_a_proof() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let alice = server.user("alice").await;
    let (_, token) = granted(&server, &alice, None).await;
    let metadata = ClientMetadata {
        dpop_bound_access_tokens: true,
        ..ClientMetadata::default()
    };
    change(&server, "service", metadata.clone()).await;
    change(&server, "app", metadata).await;
    let refused = ask(&server, &service, &[]).await;
    refused.expect_oauth_error(400, "invalid_dpop_proof");
    let refused = renew(&server, &token, None).await;
    refused.expect_oauth_error(400, "invalid_dpop_proof");
    let key = Key::new();
    let bound = ask(&server, &service, &[&key.proof(&server, None)]).await;
    assert_eq!(bound.expect(200).text("token_type"), "DPoP");
}

#[tokio::test]
async fn where_nonces_are_required_a_proof_repeats_a_fresh_one() {
    let server = TestServer::start_with(|config| config.dpop.require_nonce = true).await;
    let service = server.service("service", "groups:read").await;
    let key = Key::new();
    let challenge = ask(&server, &service, &[&key.proof(&server, None)]).await;
    let challenge = challenge.expect_oauth_error(400, "use_dpop_nonce");
    let nonce = challenge.header("dpop-nonce").unwrap().to_owned();
    let good = ask(&server, &service, &[&key.proof(&server, Some(&nonce))]).await;
    assert!(good.expect(200).header("dpop-nonce").is_none());
    server.advance(Duration::from_secs(150));
    let renewed = ask(&server, &service, &[&key.proof(&server, Some(&nonce))]).await;
    let renewed = renewed.expect(200);
    let newer = renewed.header("dpop-nonce").unwrap();
    assert_ne!(newer, nonce);
    let good = ask(&server, &service, &[&key.proof(&server, Some(newer))]).await;
    let token = good.expect(200).text("access_token");
    server.advance(Duration::from_secs(150));
    for stale in [nonce.as_str(), "AAAA", &newer.to_lowercase()] {
        let challenge = ask(&server, &service, &[&key.proof(&server, Some(stale))]).await;
        challenge.expect_oauth_error(400, "use_dpop_nonce");
    }
    let proof = key.shows(&server, ("GET", ORGS), &token);
    let challenge = show(&server, "DPoP", &token, &[&proof]).await.expect(401);
    assert!(challenge.header("dpop-nonce").is_some());
    assert!(
        challenges(&challenge)[0].starts_with(r#"DPoP error="use_dpop_nonce""#),
        "{:?}",
        challenges(&challenge)
    );
    let plain = ask(&server, &service, &[]).await.expect(200);
    assert_eq!(plain.text("token_type"), "Bearer");
}

#[tokio::test]
async fn one_client_alone_may_be_asked_for_nonces() {
    let server = TestServer::start().await;
    let (asked, other) = (
        server.service("asked", "groups:read").await,
        server.service("other", "groups:read").await,
    );
    let metadata = ClientMetadata {
        dpop_require_nonce: true,
        ..ClientMetadata::default()
    };
    change(&server, "asked", metadata).await;
    let key = Key::new();
    let challenge = ask(&server, &asked, &[&key.proof(&server, None)]).await;
    let challenge = challenge.expect_oauth_error(400, "use_dpop_nonce");
    let nonce = challenge.header("dpop-nonce").unwrap();
    ask(&server, &asked, &[&key.proof(&server, Some(nonce))])
        .await
        .expect(200);
    ask(&server, &other, &[&key.proof(&server, Some("anything"))])
        .await
        .expect(200);
}

#[tokio::test]
async fn an_api_takes_a_bound_token_with_its_proof_and_says_how_without() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let key = Key::new();
    let (token, _) = granted(&server, &alice, Some(&key)).await;
    for scheme in ["DPoP", "dpop", "DPOP"] {
        let proof = key.shows(&server, ("GET", ORGS), &token);
        let answer = show(&server, scheme, &token, &[&proof]).await;
        // The token was taken; what it permits is another matter.
        answer.expect_problem(403);
    }
    let refused = show(&server, "DPoP", &token, &[]).await.expect_problem(401);
    assert_eq!(challenges(&refused).len(), 1);
    assert!(challenges(&refused)[0].ends_with(r#"algs="ES256 EdDSA PS256""#));
    let anonymous = server.anonymous();
    let nothing = anonymous.send(anonymous.request(Method::GET, ORGS)).await;
    assert_eq!(
        challenges(&nothing.expect(401)),
        ["Bearer", r#"DPoP algs="ES256 EdDSA PS256""#]
    );
    let malformed = show(&server, "DPoP", "nonsense", &[]).await.expect(401);
    assert!(challenges(&malformed)[0].starts_with(r#"DPoP error="invalid_token""#));
    assert_eq!(alice.get(ORGS).await.expect(200).status, 200);
}
