//! Clients that authenticate by certificate, and tokens bound to one (RFC 8705), over real TLS handshakes.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_client::{ClientAuthentication, ServiceClient, ServiceTokenManager, TokenEndpoint};
use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_server::{
    config::{CertificateHeader, ClientCertificates},
    listen::thumbprint,
};
use tokensmith_store::{
    AuditContext, AuditRecord, AuthMethod, Client, ClientMetadata, RegisterClient,
};
use tokensmith_testkit::{Anonymous, Answer, Authority, Identity, Names, TestServer};

use crate::claims_of;

const DN: &str = "CN=billing,O=Activity";
const GRANT: [(&str, &str); 2] = [
    ("grant_type", "client_credentials"),
    ("scope", "groups:read"),
];

async fn register(
    server: &TestServer,
    id: &str,
    auth_method: AuthMethod,
    metadata: ClientMetadata,
) {
    let now = server.now();
    let client = Client {
        client_id: ClientId::parse(id).unwrap(),
        name: id.to_owned(),
        auth_method,
        secrets: Vec::new(),
        grant_types: vec![GrantType::ClientCredentials, GrantType::RefreshToken],
        scope: Scope::parse("groups:read").unwrap(),
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata,
        is_active: true,
        created_at: now,
        updated_at: now,
    };
    let context = AuditContext::operator(now);
    server
        .app()
        .store()
        .write(RegisterClient { client, context })
        .await
        .unwrap();
}

fn by_dn(dn: &str) -> ClientMetadata {
    ClientMetadata {
        tls_client_auth_subject_dn: Some(dn.to_owned()),
        ..ClientMetadata::default()
    }
}

fn by_jwks(keys: Value) -> ClientMetadata {
    ClientMetadata {
        jwks: Some(json!({"keys": keys})),
        ..ClientMetadata::default()
    }
}

fn x5c(identity: &Identity) -> Value {
    json!([{"kty": "EC", "x5c": [STANDARD.encode(identity.der())]}])
}

async fn asks(who: &Anonymous, client_id: &str) -> Answer {
    who.form(
        "/oauth/token",
        &[&GRANT[..], &[("client_id", client_id)]].concat(),
    )
    .await
}

async fn is_refused(server: &TestServer, who: &Anonymous, client_id: &str, refusal: &str) {
    asks(who, client_id)
        .await
        .expect_oauth_error(401, "invalid_client");
    let last = server.audit().await.pop().unwrap();
    assert_eq!(
        (last.event.as_str(), outcome(&last).as_str()),
        ("client_auth_failed", refusal)
    );
}

fn outcome(line: &AuditRecord) -> String {
    let body: Value = serde_json::from_str(&line.body).unwrap();
    body["outcome"].as_str().unwrap().to_owned()
}

fn bound_to(answer: &Answer) -> Value {
    claims_of(&answer.text("access_token"))["cnf"].clone()
}

fn cnf(identity: &Identity) -> Value {
    json!({"x5t#S256": thumbprint(identity.der()).to_string()})
}

#[tokio::test]
async fn a_client_is_known_by_the_subject_that_an_authority_certified() {
    let server = TestServer::start_tls(|_| {}).await;
    register(&server, "billing", AuthMethod::TlsClientAuth, by_dn(DN)).await;
    let ours = &server.tls().client_authority;
    let billing = ours.certifies(Names::of("billing"));
    let with = server.with_certificate(&billing);
    let answer = asks(&with, "billing").await.expect(200);
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(bound_to(&answer), cnf(&billing));

    let (day, now) = (Duration::from_secs(86_400), server.now());
    let another_ca = Authority::new("clients"); // of the same name
    for (identity, refusal) in [
        (
            ours.certifies(Names::of("shipping")),
            "certificate_of_another",
        ),
        (
            another_ca.certifies(Names::of("billing")),
            "certificate_untrusted",
        ),
        (
            Identity::self_signed(Names::of("billing")),
            "certificate_untrusted",
        ),
        (
            ours.certifies(Names::of("billing").for_servers()),
            "certificate_untrusted",
        ),
        (
            ours.certifies(Names::of("billing").valid(now - day * 2, now - day)),
            "certificate_expired",
        ),
        (
            ours.certifies(Names::of("billing").valid(now + day, now + day * 2)),
            "certificate_expired",
        ),
    ] {
        is_refused(
            &server,
            &server.with_certificate(&identity),
            "billing",
            refusal,
        )
        .await;
    }
    is_refused(
        &server,
        &server.anonymous(),
        "billing",
        "certificate_missing",
    )
    .await;
    // Another way of proving oneself is not accepted instead of it, or beside it.
    let secret = [
        &GRANT[..],
        &[("client_id", "billing"), ("client_secret", "x")],
    ]
    .concat();
    with.form("/oauth/token", &secret)
        .await
        .expect_oauth_error(401, "invalid_client");
    asks(&with, "billing").await.expect(200);
}

#[tokio::test]
async fn a_certificate_that_expires_on_an_open_connection_counts_no_more() {
    let server = TestServer::start_tls(|_| {}).await;
    register(&server, "billing", AuthMethod::TlsClientAuth, by_dn(DN)).await;
    let (now, hour) = (server.now(), Duration::from_secs(3600));
    let short = server
        .tls()
        .client_authority
        .certifies(Names::of("billing").valid(now - hour, now + hour));
    let with = server.with_certificate(&short);
    asks(&with, "billing").await.expect(200);
    server.advance(hour * 2);
    is_refused(&server, &with, "billing", "certificate_expired").await;
}

#[tokio::test]
async fn alternative_names_are_exact_and_of_their_kind() {
    let server = TestServer::start_tls(|_| {}).await;
    let spiffe = ClientMetadata {
        tls_client_auth_san_uri: Some("spiffe://example/billing".to_owned()),
        ..ClientMetadata::default()
    };
    register(&server, "by-uri", AuthMethod::TlsClientAuth, spiffe).await;
    register(
        &server,
        "by-nothing",
        AuthMethod::TlsClientAuth,
        ClientMetadata::default(),
    )
    .await;
    let ours = &server.tls().client_authority;
    let right =
        server.with_certificate(&ours.certifies(Names::of("x").uri("spiffe://example/billing")));
    let wrong =
        server.with_certificate(&ours.certifies(Names::of("x").dns("spiffe://example/billing")));
    asks(&right, "by-uri").await.expect(200);
    is_refused(&server, &wrong, "by-uri", "certificate_of_another").await;
    is_refused(&server, &right, "by-nothing", "certificate_of_another").await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_known_by_itself_or_by_its_key() {
    let server = TestServer::start_tls(|_| {}).await;
    let (alice, mallory) = (
        Identity::self_signed(Names::of("app")),
        Identity::self_signed(Names::of("app")),
    );
    let method = AuthMethod::SelfSignedTlsClientAuth;
    register(&server, "by-certificate", method, by_jwks(x5c(&alice))).await;
    let thumbprint = json!([{"kty": "EC", "x5t#S256": thumbprint(alice.der()).to_string()}]);
    register(&server, "by-thumbprint", method, by_jwks(thumbprint)).await;
    register(
        &server,
        "by-key",
        method,
        by_jwks(json!([alice.public_jwk()])),
    )
    .await;
    let (with_alice, with_mallory) = (
        server.with_certificate(&alice),
        server.with_certificate(&mallory),
    );
    for client in ["by-certificate", "by-thumbprint", "by-key"] {
        let answer = asks(&with_alice, client).await.expect(200);
        assert_eq!(bound_to(&answer), cnf(&alice));
        is_refused(&server, &with_mallory, client, "certificate_of_another").await;
        is_refused(&server, &server.anonymous(), client, "certificate_missing").await;
    }
    let (now, hour) = (server.now(), Duration::from_secs(3600));
    let over = Identity::self_signed(Names::of("app").valid(now - hour * 2, now - hour));
    register(&server, "over", method, by_jwks(x5c(&over))).await;
    is_refused(
        &server,
        &server.with_certificate(&over),
        "over",
        "certificate_expired",
    )
    .await;
    for (id, jwks) in [
        ("empty", json!([])),
        ("broken", json!([{"kty": "EC", "x5c": ["?"]}])),
    ] {
        register(&server, id, method, by_jwks(jwks)).await;
        is_refused(&server, &with_alice, id, "certificate_of_another").await;
    }
}

#[tokio::test]
async fn a_bound_token_is_worth_nothing_without_its_certificate() {
    let server = TestServer::start_tls(|_| {}).await;
    let (alice, mallory) = (
        Identity::self_signed(Names::of("app")),
        Identity::self_signed(Names::of("thief")),
    );
    register(
        &server,
        "app",
        AuthMethod::SelfSignedTlsClientAuth,
        by_jwks(x5c(&alice)),
    )
    .await;
    register(
        &server,
        "thief",
        AuthMethod::SelfSignedTlsClientAuth,
        by_jwks(x5c(&mallory)),
    )
    .await;
    let (with_alice, with_mallory) = (
        server.with_certificate(&alice),
        server.with_certificate(&mallory),
    );
    let token = asks(&with_alice, "app")
        .await
        .expect(200)
        .text("access_token");
    let path = format!("/api/auth/groups/{}", uuid());
    for (who, status) in [
        (&with_alice, 404),
        (&with_mallory, 401),
        (&server.anonymous(), 401),
        (&with_alice, 404),
    ] {
        let request = who.request(Method::GET, &path).bearer_auth(&token);
        who.send(request).await.expect(status);
    }
    let refused = server
        .audit()
        .await
        .into_iter()
        .rev()
        .find(|line| line.event == "token_invalid")
        .unwrap();
    assert_eq!(outcome(&refused), "certificate_not_shown");

    let question = [("token", token.as_str()), ("client_id", "app")];
    let shown = with_alice
        .form("/oauth/introspect", &question)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&shown["active"], &shown["cnf"]),
        (&json!(true), &cnf(&alice))
    );
}

fn uuid() -> &'static str {
    "0198f0e0-0000-7000-8000-000000000000"
}

#[tokio::test]
async fn a_client_that_wants_bound_tokens_gets_no_others() {
    let server = TestServer::start_tls(|_| {}).await;
    let service = server.service("wants", "groups:read").await;
    let mut client = server
        .app()
        .store()
        .client(&ClientId::parse("wants").unwrap())
        .await
        .unwrap()
        .unwrap();
    client.metadata.tls_client_certificate_bound_access_tokens = true;
    let context = AuditContext::operator(server.now());
    server
        .app()
        .store()
        .write(tokensmith_store::PutClient { client, context })
        .await
        .unwrap();
    server
        .app()
        .registry()
        .reload(server.app().store())
        .await
        .unwrap();
    let form = [
        &GRANT[..],
        &[("client_id", "wants"), ("client_secret", &service.secret)],
    ]
    .concat();
    let without = server.anonymous().form("/oauth/token", &form).await;
    without.expect_oauth_error(400, "invalid_request");
    let any = Identity::self_signed(Names::of("any"));
    let answer = server
        .with_certificate(&any)
        .form("/oauth/token", &form)
        .await
        .expect(200);
    assert_eq!(bound_to(&answer), cnf(&any));
    // A client that did not ask for it keeps its bearer tokens, whatever it shows.
    let plain = server.service("plain", "groups:read").await;
    let form = [
        &GRANT[..],
        &[("client_id", "plain"), ("client_secret", &plain.secret)],
    ]
    .concat();
    let answer = server
        .with_certificate(&any)
        .form("/oauth/token", &form)
        .await
        .expect(200);
    assert_eq!(bound_to(&answer), Value::Null);
}

#[tokio::test]
async fn metadata_announce_certificates_only_where_they_can_be_shown() {
    const METADATA: &str = "/.well-known/oauth-authorization-server";
    let methods = async |server: &TestServer| {
        let who = server.anonymous();
        let document = who
            .send(who.request(Method::GET, METADATA))
            .await
            .expect(200)
            .json();
        let listed = document["token_endpoint_auth_methods_supported"]
            .as_array()
            .unwrap()
            .clone();
        let has = |method: &str| listed.contains(&json!(method));
        (
            has("tls_client_auth"),
            has("self_signed_tls_client_auth"),
            document,
        )
    };
    let (certified, self_signed, document) = methods(&TestServer::start().await).await;
    assert!(!certified && !self_signed);
    assert_eq!(
        document.get("tls_client_certificate_bound_access_tokens"),
        None
    );
    let no_authorities = TestServer::start_tls(|config| config.mtls.client_ca_file = None).await;
    let (certified, self_signed, _) = methods(&no_authorities).await;
    assert!(!certified && self_signed);
    let server = TestServer::start_tls(|config| {
        config.mtls.base_url =
            Some(tokensmith_server::config::Issuer::parse("https://mtls.example.com").unwrap());
    });
    let (certified, self_signed, document) = methods(&server.await).await;
    assert!(certified && self_signed);
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!(
        document["mtls_endpoint_aliases"]["token_endpoint"],
        "https://mtls.example.com/oauth/token"
    );
}

#[tokio::test]
async fn a_listed_proxy_speaks_for_its_client_and_nobody_else_does() {
    let header = |identity: &Identity| format!(":{}:", STANDARD.encode(identity.der()));
    let alice = Identity::self_signed(Names::of("app"));
    for (blocks, is_listed) in [("127.0.0.1/32", true), ("10.0.0.0/8", false)] {
        let server = TestServer::start_tls(|config| {
            config.tls.client_certificates = ClientCertificates::Optional;
            config.trusted_proxies = vec![blocks.parse().unwrap()];
            config.mtls.certificate_header = CertificateHeader::ClientCert;
        })
        .await;
        register(
            &server,
            "app",
            AuthMethod::SelfSignedTlsClientAuth,
            by_jwks(x5c(&alice)),
        )
        .await;
        let form = [&GRANT[..], &[("client_id", "app")]].concat();
        let says = async |who: &Anonymous, field: &str| {
            let request = who
                .request(Method::POST, "/oauth/token")
                .form(&form)
                .header("Client-Cert", field);
            who.send(request).await
        };
        let claimed = says(&server.anonymous(), &header(&alice)).await;
        let with_alice = server.with_certificate(&alice);
        if is_listed {
            assert_eq!(bound_to(&claimed.expect(200)), cnf(&alice));
            // The proxy's own certificate is not its client's.
            asks(&with_alice, "app")
                .await
                .expect_oauth_error(401, "invalid_client");
            says(&server.anonymous(), "rubbish").await.expect(400);
        } else {
            claimed.expect_oauth_error(401, "invalid_client");
            let last = server.audit().await.pop().unwrap();
            assert_eq!(outcome(&last), "certificate_missing");
            asks(&with_alice, "app").await.expect(200);
        }
    }
}

#[tokio::test]
async fn authorities_of_clients_are_replaced_while_the_server_runs() {
    let server =
        TestServer::start_tls(|config| config.tls.reload_interval = Duration::from_millis(20))
            .await;
    register(&server, "billing", AuthMethod::TlsClientAuth, by_dn(DN)).await;
    let next = Authority::new("next clients");
    let billing = server.with_certificate(&next.certifies(Names::of("billing")));
    is_refused(&server, &billing, "billing", "certificate_untrusted").await;
    std::fs::write(server.directory().join("clients.pem"), next.pem()).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    asks(&billing, "billing").await.expect(200);
}

#[tokio::test]
async fn the_client_library_shows_its_certificate_and_gets_a_bound_token() {
    let server = TestServer::start_tls(|_| {}).await;
    register(&server, "billing", AuthMethod::TlsClientAuth, by_dn(DN)).await;
    let manager = |identity: &Identity| {
        let endpoint = format!("{}/oauth/token", server.tls().mtls_base);
        let pem = format!("{}{}", identity.certificate_pem(), identity.key_pem());
        let client = ServiceClient::new(
            ClientId::parse("billing").unwrap(),
            pem,
            TokenEndpoint::Url(endpoint.parse().unwrap()),
        )
        .authentication(ClientAuthentication::Certificate)
        .scope(Scope::parse("groups:read").unwrap())
        .root_certificates(server.tls().server_authority.pem());
        ServiceTokenManager::new(client)
    };
    let billing = server
        .tls()
        .client_authority
        .certifies(Names::of("billing"));
    let token = manager(&billing).unwrap().token().await.unwrap();
    assert_eq!(claims_of(token.expose())["cnf"], cnf(&billing));
    let shipping = server
        .tls()
        .client_authority
        .certifies(Names::of("shipping"));
    assert!(manager(&shipping).unwrap().token().await.is_err());
    let rubbish = ServiceClient::new(
        ClientId::parse("billing").unwrap(),
        "no PEM",
        TokenEndpoint::Issuer(server.base().into()),
    )
    .authentication(ClientAuthentication::Certificate);
    assert!(ServiceTokenManager::new(rubbish).is_err());
}
