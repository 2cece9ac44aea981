//! Bad input at every endpoint of this file's list: a documented 4xx with one sentence, nothing changed, nothing of
//! the inside shown.

use std::time::{Duration, Instant};

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::json;
use tokensmith_oauth2::ClientId;
use tokensmith_store::{
    AuditContext, ChangeClient, ClientChange, PutClient, PutResource, Resource,
};
use tokensmith_testkit::{SIGN_IN_PASSWORD, Service, TestServer};

use crate::claims_of;

const PROBES: [&str; 7] = [
    "' OR 1=1--",
    "\"); DROP TABLE users;--",
    "'; SELECT pg_sleep(5);--",
    "${7*7}",
    "{{7*7}}",
    "../../etc/passwd",
    "a@b.example' UNION SELECT password_hash FROM users--",
];

const JSON_ENDPOINTS: [&str; 4] = [
    "/auth/login",
    "/api/auth/login",
    "/api/auth/register",
    "/api/auth/refresh",
];

async fn token(
    server: &TestServer,
    service: &Service,
    more: &[(&str, &str)],
) -> tokensmith_testkit::Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &service.client_id),
        ("client_secret", &service.secret),
    ];
    server
        .anonymous()
        .form("/oauth/token", &[&form, more].concat())
        .await
}

#[tokio::test]
async fn row_283_probes_are_bad_values_like_any_other() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let service = server.service("service", "groups:read").await;
    let started = Instant::now();
    for probe in PROBES {
        server.advance(Duration::from_secs(30));
        server
            .anonymous()
            .login(probe, SIGN_IN_PASSWORD)
            .await
            .expect_problem(401);
        server
            .anonymous()
            .login(&alice.email, probe)
            .await
            .expect_problem(401);
        let body = json!({"email": probe, "password": SIGN_IN_PASSWORD});
        server
            .anonymous()
            .post("/api/auth/register", body)
            .await
            .expect_problem(422);
        let body = json!({"refresh_token": probe});
        server
            .anonymous()
            .post("/api/auth/refresh", body)
            .await
            .expect_problem(401);
        server
            .anonymous()
            .renew(probe, &[])
            .await
            .expect_oauth_error(400, "invalid_grant");
        token(&server, &service, &[("scope", probe)])
            .await
            .expect_oauth_error(400, "invalid_scope");
        let mut other = service.clone();
        other.client_id = probe.to_owned();
        token(&server, &other, &[])
            .await
            .expect_oauth_error(401, "invalid_client");
        let path = format!("/api/auth/organizations/{org}/members");
        alice
            .post(&path, json!({"email": probe}))
            .await
            .expect_problem(422);
        let encoded: String = probe.bytes().map(|byte| format!("%{byte:02x}")).collect();
        alice
            .get(&format!("/api/auth/groups/{encoded}"))
            .await
            .expect_problem(404);
        alice
            .get(&format!("/api/auth/organizations?after={encoded}"))
            .await
            .expect(200);
    }
    // As names they are harmless texts, kept as they are.
    let named = alice
        .post("/api/auth/organizations", json!({"name": PROBES[1]}))
        .await
        .expect(201);
    assert_eq!(named.text("name"), PROBES[1]);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(server.app().store().users("", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn row_285_nul_is_refused_and_never_cuts_a_value_short() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let service = server.service("service", "groups:read").await;
    let cut = format!("{}\0x", alice.email);
    server
        .anonymous()
        .login(&cut, SIGN_IN_PASSWORD)
        .await
        .expect_problem(422);
    let body = json!({"email": cut, "password": SIGN_IN_PASSWORD});
    server
        .anonymous()
        .post("/api/auth/register", body)
        .await
        .expect_problem(422);
    token(&server, &service, &[("scope", "groups:read\0")])
        .await
        .expect_oauth_error(400, "invalid_request");
    let mut other = service.clone();
    other.client_id = "service\0".to_owned();
    token(&server, &other, &[("scope", "groups:read")])
        .await
        .expect_oauth_error(400, "invalid_request");
    server
        .anonymous()
        .renew(&format!("{}\0", alice.refresh_token), &[])
        .await
        .expect_oauth_error(400, "invalid_request");
    alice
        .post("/api/auth/organizations", json!({"name": "a\0b"}))
        .await
        .expect_problem(422);
}

#[tokio::test]
async fn row_286_a_parameter_sent_twice_is_refused() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let service = server.service("service", "groups:read members:read").await;
    token(&server, &service, &[("scope", "groups:read")])
        .await
        .expect(200);
    for twice in [
        ("grant_type", "client_credentials"),
        ("client_id", "service"),
        ("client_secret", "x"),
        ("scope", "members:read"),
    ] {
        let answer = token(&server, &service, &[("scope", "groups:read"), twice]).await;
        answer.expect_oauth_error(400, "invalid_request");
    }
    let twice = [("refresh_token", alice.refresh_token.as_str())];
    server
        .anonymous()
        .renew(&alice.refresh_token, &twice)
        .await
        .expect_oauth_error(400, "invalid_request");
    for body in [
        r#"{"email":"alice@example.com","email":"bob@example.com","password":"x"}"#,
        r#"{"refresh_token":"x","refresh_token":"y"}"#,
    ] {
        for path in JSON_ENDPOINTS {
            let request = server.anonymous().request(Method::POST, path);
            let request = request.header(CONTENT_TYPE, "application/json").body(body);
            server.anonymous().send(request).await.expect_problem(422);
        }
    }
}

#[tokio::test]
async fn row_287_parameters_in_the_url_are_not_read() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let (id, secret) = (service.client_id.as_str(), service.secret.as_str());
    let anonymous = server.anonymous();
    for (query, form) in [
        (
            "grant_type=client_credentials".to_owned(),
            vec![
                ("client_id", id),
                ("client_secret", secret),
                ("scope", "groups:read"),
            ],
        ),
        (
            format!("client_secret={secret}"),
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("scope", "groups:read"),
            ],
        ),
    ] {
        let answer = anonymous
            .form(&format!("/oauth/token?{query}"), &form)
            .await;
        answer.expect_oauth_error(400, "invalid_request");
    }
    let request = anonymous.request(
        Method::GET,
        &format!(
            "/api/auth/organizations?access_token={}",
            service.access_token
        ),
    );
    anonymous.send(request).await.expect_problem(401);
    let written = server.audit().await;
    assert!(written.iter().all(|record| !record.body.contains(secret)));
}

#[tokio::test]
async fn row_288_the_token_endpoint_takes_forms_and_the_apis_take_json() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let anonymous = server.anonymous();
    let body = json!({"grant_type": "client_credentials", "client_id": service.client_id, "client_secret": service.secret, "scope": "groups:read"});
    anonymous
        .post("/oauth/token", body)
        .await
        .expect_oauth_error(400, "invalid_request");
    for path in JSON_ENDPOINTS {
        anonymous
            .form(path, &[("email", "a@example.com"), ("password", "x")])
            .await
            .expect_problem(415);
    }
}

#[tokio::test]
async fn json_that_is_broken_deep_or_not_an_object_is_refused() {
    let server = TestServer::start().await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let deep_member = format!(r#"{{"email":{deep},"password":"x"}}"#);
    for path in JSON_ENDPOINTS {
        for body in [
            "",
            "{",
            "null",
            "[]",
            "1",
            "{\"email\":}",
            "\u{feff}{}",
            "{} {}",
            "{'a':1}",
            &deep,
            &deep_member,
            "{\"email\":\"\\ud800\",\"password\":\"x\"}",
        ] {
            let request = server.anonymous().request(Method::POST, path);
            let request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_owned());
            server.anonymous().send(request).await.expect_problem(422);
        }
        let request = server.anonymous().request(Method::POST, path);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(b"{\"email\":\"\xff\xfe\"}".to_vec());
        server.anonymous().send(request).await.expect_problem(422);
    }
}

#[tokio::test]
async fn row_290_another_method_is_405_with_allow() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    alice.get("/api/auth/organizations").await.expect(200);
    for (method, path, allow) in [
        (
            Method::GET,
            "/oauth/token?grant_type=client_credentials",
            "POST",
        ),
        (Method::GET, "/auth/login", "POST"),
        (Method::PUT, "/api/auth/register", "POST"),
        (Method::GET, "/api/auth/logout", "POST"),
        (Method::DELETE, "/api/auth/organizations", "POST"),
        (
            Method::PUT,
            "/api/auth/groups/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f",
            "PATCH",
        ),
    ] {
        let answer = alice
            .send(alice.request(method, path))
            .await
            .expect_problem(405);
        assert!(answer.header("allow").unwrap().contains(allow), "{path}");
    }
    alice
        .get("/api/auth/nothing-here")
        .await
        .expect_problem(404);
}

#[tokio::test]
async fn two_authorization_headers_or_another_scheme_are_refused() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let path = "/api/auth/organizations";
    let twice = alice
        .request(Method::GET, path)
        .header("authorization", format!("Bearer {}", alice.access_token));
    anonymous.send(twice).await.expect_problem(400);
    for value in ["Basic YTpi", "Bearer", "Bearer ", "bearer  x", "Token x"] {
        let request = anonymous
            .request(Method::GET, path)
            .header("authorization", value);
        anonymous.send(request).await.expect_problem(401);
    }
    let lower = anonymous
        .request(Method::GET, path)
        .header("authorization", format!("bearer {}", alice.access_token));
    anonymous.send(lower).await.expect(200);
}

#[tokio::test]
async fn row_292_a_body_of_ten_megabytes_is_refused_at_once() {
    let server = TestServer::start().await;
    server.user("alice").await;
    for path in JSON_ENDPOINTS.into_iter().chain(["/oauth/token"]) {
        let request = server
            .anonymous()
            .request(Method::POST, path)
            .body(vec![b'x'; 10 << 20]);
        let started = Instant::now();
        server.anonymous().send(request).await.expect(413);
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "{:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn row_320_no_answer_shows_the_inside() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let mut answers = Vec::new();
    for path in JSON_ENDPOINTS {
        answers.push(
            server
                .anonymous()
                .post(path, json!({"email": 1}))
                .await
                .expect(422),
        );
        answers.push(
            server
                .anonymous()
                .post(path, json!({"email": "SELECT", "password": "x"}))
                .await,
        );
    }
    answers.push(alice.get("/api/auth/groups/none").await.expect(404));
    answers.push(alice.get("/nowhere").await.expect(404));
    answers.push(
        server
            .anonymous()
            .form("/oauth/token", &[("client_id", "none")])
            .await
            .expect(401),
    );
    for answer in answers {
        assert!(
            answer.header("x-correlation-id").is_some(),
            "{}",
            answer.request
        );
        for inside in [
            "SELECT", "sqlite", "crates/", ".rs", "panicked", "/home", "/tmp", "rusqlite", "stack",
        ] {
            assert!(
                !answer.body.contains(inside),
                "{}: {}",
                answer.request,
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn row_262_a_client_id_may_not_be_a_users_id() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let id = alice.id.as_str();
    for spelling in [
        id.to_owned(),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
    ] {
        assert!(ClientId::parse(&spelling).is_err(), "{spelling}");
    }
}

#[tokio::test]
async fn row_267_no_scope_is_never_every_scope() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let granted = token(&server, &service, &[("scope", "groups:read")])
        .await
        .expect(200);
    assert_eq!(granted.text("scope"), "groups:read");
    for scope in [
        None,
        Some(""),
        Some("  "),
        Some("groups:write"),
        Some("groups:read groups:admin"),
        Some("GROUPS:READ"),
    ] {
        let more: Vec<_> = scope.iter().map(|scope| ("scope", *scope)).collect();
        token(&server, &service, &more)
            .await
            .expect_oauth_error(400, "invalid_scope");
    }
}

/// Declares another resource and lets the service ask for tokens for it.
async fn allow_resource(server: &TestServer, service: &Service, identifier: &str) {
    let resource = Resource {
        identifier: identifier.to_owned(),
        name: "Chat".to_owned(),
        scopes: Vec::new(),
        signing_algorithm: None,
        access_token_seconds: None,
        user_claims: None,
        created_at: server.now(),
    };
    let (store, context) = (server.app().store(), AuditContext::operator(server.now()));
    store
        .write(PutResource {
            resource,
            context: context.clone(),
        })
        .await
        .unwrap();
    let id = ClientId::parse(&service.client_id).unwrap();
    let mut client = store.client(&id).await.unwrap().unwrap();
    client.resources = vec![
        server.app().config().audience().to_owned(),
        identifier.to_owned(),
    ];
    store.write(PutClient { client, context }).await.unwrap();
    server.app().registry().reload(store).await.unwrap();
}

#[tokio::test]
async fn row_269_a_token_for_another_audience_is_refused() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let other = "https://chat.example.com";
    allow_resource(&server, &service, other).await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let group = alice.creates_group(&org, "Group").await;
    let call = async |access_token: String, status: u16| {
        let mut service = service.clone();
        service.access_token = access_token;
        let path = format!("/api/auth/groups/{group}");
        service.get(&path).await.expect(status)
    };
    let own = token(&server, &service, &[("scope", "groups:read")])
        .await
        .expect(200);
    call(own.text("access_token"), 200).await;
    let foreign = [("scope", "groups:read"), ("resource", other)];
    let foreign = token(&server, &service, &foreign).await.expect(200);
    assert_eq!(
        claims_of(&foreign.text("access_token"))["aud"],
        json!([other])
    );
    let refused = call(foreign.text("access_token"), 401).await;
    let refused = refused.expect_problem(401);
    assert!(
        refused
            .header("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
}

#[tokio::test]
async fn row_277_a_disabled_client_gets_no_token_and_its_old_one_is_refused() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let path = "/api/auth/groups/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    service.get(path).await.expect_problem(404);
    let change = ChangeClient {
        client_id: ClientId::parse("service").unwrap(),
        change: ClientChange::Active(false),
        context: AuditContext::operator(server.now()),
    };
    assert!(server.app().store().write(change).await.unwrap());
    server
        .app()
        .registry()
        .reload(server.app().store())
        .await
        .unwrap();
    token(&server, &service, &[("scope", "groups:read")])
        .await
        .expect_oauth_error(401, "invalid_client");
    service.get(path).await.expect_problem(401);
}

#[tokio::test]
async fn an_access_token_expires_and_is_not_good_before_its_time_or_with_one_bit_turned() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let path = "/api/auth/organizations";
    let token = &alice.access_token;
    let anonymous = server.anonymous();
    for at in [5, token.len() / 2, token.len() - 10] {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let turned = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let request = anonymous.request(Method::GET, path).bearer_auth(turned);
        anonymous.send(request).await.expect_problem(401);
    }
    let refresh = anonymous
        .request(Method::GET, path)
        .bearer_auth(&alice.refresh_token);
    anonymous.send(refresh).await.expect_problem(401);
    server.advance(Duration::from_secs(899));
    alice.get(path).await.expect(200);
    server.advance(Duration::from_secs(1));
    let expired = alice.get(path).await.expect_problem(401);
    assert!(
        expired
            .header("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
}
