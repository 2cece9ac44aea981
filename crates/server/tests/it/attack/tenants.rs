//! Theme 16, as far as the endpoints exist: organizations, first start, what is open to everybody.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokensmith_store::OrganizationId;
use tokensmith_testkit::{SIGN_IN_PASSWORD, TestServer};

use super::{assert_alive, audited, client};

#[tokio::test]
async fn row_116_no_answer_holds_a_client_secret_or_what_is_stored_of_one() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let group = alice.creates_group(&org, "Group").await;
    let chosen = "a secret somebody chose";
    client(
        &server,
        "chosen",
        tokensmith_store::AuthMethod::ClientSecretBasicOrPost,
        Some(chosen),
    )
    .await;
    let service = server.service("service", "groups:read").await;
    let paths = [
        "/api/auth/organizations".to_owned(),
        format!("/api/auth/organizations/{org}"),
        format!("/api/auth/organizations/{org}/members"),
        format!("/api/auth/organizations/{org}/groups"),
        format!("/api/auth/groups/{group}"),
        format!("/api/auth/groups/{group}/members"),
        "/.well-known/oauth-authorization-server".to_owned(),
        "/.well-known/jwks.json".to_owned(),
        "/health".to_owned(),
        "/metrics".to_owned(),
    ];
    for path in &paths {
        let body = alice.get(path).await.expect(200).body;
        for secret in [
            chosen,
            &service.secret,
            SIGN_IN_PASSWORD,
            "$argon2id$",
            "password_hash",
            "secret_hash",
            "sealed",
        ] {
            assert!(!body.contains(secret), "{secret} in {path}: {body}");
        }
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_277_a_client_whose_secret_expired_gets_no_token() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let id = tokensmith_oauth2::ClientId::parse("service").unwrap();
    let store = server.app().store();
    let mut record = store.client(&id).await.unwrap().unwrap();
    record.secrets[0].expires_at =
        Some((server.now() + std::time::Duration::from_secs(60)).as_millis());
    let context = tokensmith_store::AuditContext::operator(server.now());
    store
        .write(tokensmith_store::PutClient {
            client: record,
            context,
        })
        .await
        .unwrap();
    server.app().registry().reload(store).await.unwrap();
    let ask = async || {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "service"),
            ("client_secret", &service.secret),
            ("scope", "groups:read"),
        ];
        server.anonymous().form("/oauth/token", &form).await
    };
    ask().await.expect(200);
    server.advance(std::time::Duration::from_secs(60));
    ask().await.expect_oauth_error(401, "invalid_client");
    assert_eq!(audited(&server, "client_auth_failed").await.len(), 1);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_280_nobody_becomes_the_first_administrator_over_http() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    for path in [
        "/setup",
        "/api/setup",
        "/install",
        "/bootstrap",
        "/api/auth/setup",
        "/admin",
        "/api/admin/users",
        "/init",
        "/first-run",
    ] {
        for method in [Method::GET, Method::POST] {
            let request = anonymous
                .request(method, path)
                .json(&json!({"email": "a@example.com", "password": SIGN_IN_PASSWORD}));
            anonymous.send(request).await.expect_problem(404);
        }
    }
    let body = json!({"email": "first@example.com", "password": SIGN_IN_PASSWORD, "username": "first", "org_name": "First",
        "role": "admin", "roles": ["admin"], "is_admin": true});
    let registrations = (0..20).map(|_| anonymous.post("/api/auth/register", body.clone()));
    let statuses: Vec<u16> = join_all(registrations)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    assert!(statuses.contains(&201), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [201, 409].contains(status)),
        "{statuses:?}"
    );
    let users = server.app().store().users("", 100).await.unwrap();
    assert_eq!(users.len(), 1);
    assert!(users[0].roles.is_empty(), "{:?}", users[0].roles);
    assert_eq!(
        server
            .app()
            .store()
            .organizations("", 100)
            .await
            .unwrap()
            .len(),
        1
    );
    let signed_in = anonymous
        .login("first@example.com", SIGN_IN_PASSWORD)
        .await
        .expect(200);
    let org: OrganizationId = signed_in.text("org_id").parse().unwrap();
    assert_eq!(
        server
            .app()
            .store()
            .members(&org, "", 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_alive(&server).await;
}

/// Where other products show their inside.
const DEBUG_PATHS: [&str; 12] = [
    "/debug",
    "/debug/pprof",
    "/debug/pprof/heap",
    "/debug/vars",
    "/actuator",
    "/actuator/env",
    "/env",
    "/.env",
    "/.git/config",
    "/server-status",
    "/trace",
    "/heapdump",
];

#[tokio::test]
async fn row_281_what_is_open_to_everybody_names_nobody() {
    let server = TestServer::start().await;
    let alice = server.user("alice.of.the.metrics").await;
    let org = alice.creates_organization("Metrics Incorporated").await;
    let service = server
        .service("service-of-the-metrics", "groups:read")
        .await;
    alice
        .get(&format!("/api/auth/organizations/{org}"))
        .await
        .expect(200);
    server
        .anonymous()
        .login(&alice.email, "wrong password")
        .await
        .expect(401);
    let anonymous = server.anonymous();
    let named = [
        alice.email.as_str(),
        "alice.of",
        alice.id.as_str(),
        &org,
        "Metrics Incorporated",
        &service.client_id,
        &service.secret,
        "127.0.0.1",
        "sqlite:",
        "/tmp",
    ];
    let metrics = anonymous
        .send(anonymous.request(Method::GET, "/metrics"))
        .await
        .expect(200);
    assert!(
        metrics
            .body
            .contains("endpoint=\"/api/auth/organizations/{org_id}\"")
    );
    let mut bodies = vec![metrics.body];
    for path in ["/health", "/ready"] {
        bodies.push(
            anonymous
                .send(anonymous.request(Method::GET, path))
                .await
                .expect(200)
                .body,
        );
    }
    for body in bodies {
        for name in named {
            assert!(!body.contains(name), "{name} in {body}");
        }
    }
    for path in DEBUG_PATHS {
        anonymous
            .send(anonymous.request(Method::GET, path))
            .await
            .expect_problem(404);
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_282_no_request_reads_changes_or_removes_an_audit_line() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let before = server.audit().await.len();
    for path in [
        "/audit",
        "/api/audit",
        "/api/auth/audit",
        "/api/audit/1",
        &format!("/api/auth/organizations/{org}/audit"),
    ] {
        for method in [
            Method::GET,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::POST,
        ] {
            let request = alice
                .request(method, path)
                .json(&json!({"event": "harmless"}));
            alice.send(request).await.expect_problem(404);
        }
    }
    // Everybody reads the lines about themselves, and nobody does more.
    alice.get("/api/oauth2/audit-logs").await.expect(200);
    for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
        let request = alice.request(method, "/api/oauth2/audit-logs");
        let request = request.json(&json!({"event": "harmless"}));
        alice.send(request).await.expect_problem(405);
    }
    let after = server.audit().await;
    assert_eq!(after.len(), before);
    let (read, faults) = server.app().store().verify_audit().await.unwrap();
    assert_eq!((read, faults.len()), (before as u64, 0));
    assert_alive(&server).await;
}
