//! Theme 20: what is written down tells no secret, and nobody can write a line that is not theirs.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_store::AuthMethod;
use tokensmith_testkit::{Answer, SIGN_IN_PASSWORD, TestServer};

use super::{assert_alive, assert_refuses, client, forging::b64, log, logged, wire};

#[tokio::test]
async fn row_317_a_name_with_line_breaks_makes_one_record_and_no_line_of_its_own() {
    log();
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let forged = "x\r\n{\"level\":\"INFO\",\"message\":\"admin login ok 317\"}\u{1b}[31m";
    anonymous
        .login("nobody@example.com", SIGN_IN_PASSWORD)
        .await
        .expect_problem(401);
    anonymous
        .login(forged, SIGN_IN_PASSWORD)
        .await
        .expect_problem(422);
    // Where a control character cannot be refused as such it is escaped.
    let alice = server.user("alice").await;
    let agent = alice
        .request(Method::GET, "/api/auth/organizations")
        .header("user-agent", "admin login ok 317\tx");
    alice.send(agent).await.expect(200);
    let scope = [
        ("grant_type", "client_credentials"),
        ("client_id", "admin%20login%20ok%20317"),
        ("client_secret", "x"),
    ];
    anonymous.form("/oauth/token", &scope).await.expect(401);
    for text in logged().lines() {
        let record: Value =
            serde_json::from_str(text).unwrap_or_else(|_| panic!("no record: {text}"));
        assert_ne!(record["message"], "admin login ok 317");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    for record in server.audit().await {
        assert!(
            !record.body.chars().any(char::is_control),
            "{:?}",
            record.body
        );
    }
    assert_alive(&server).await;
}

/// Everything of a run that nobody may read afterwards.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn add(&mut self, secret: impl Into<String>) -> &str {
        self.0.push(secret.into());
        self.0.last().unwrap()
    }

    /// The tokens of an answer: of an access token its signature, of a refresh token the part that is secret.
    fn of(&mut self, answer: &Answer) {
        let json = answer.json();
        for member in ["access_token", "refresh_token"] {
            if let Some(token) = json[member].as_str() {
                self.add(token.rsplit('.').next().unwrap());
            }
        }
    }

    fn assert_not_in(&self, what: &str, text: &str) {
        for secret in &self.0 {
            if let Some(at) = text.find(secret.as_str()) {
                let start = text[..at].rfind('\n').map_or(0, |start| start + 1);
                let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
                panic!("{what} holds the secret {secret}: {}", &text[start..end]);
            }
        }
    }
}

/// People and services do what they do, and make the mistakes people make with secrets.
async fn play(server: &TestServer, secrets: &mut Secrets) {
    let anonymous = server.anonymous();
    let password = secrets.add("row 318: right password").to_owned();
    let body = json!({"email": "carol@example.com", "password": password, "org_name": "Row 318"});
    anonymous.post("/api/auth/register", body).await.expect(201);
    let carol = anonymous
        .login("carol@example.com", &password)
        .await
        .expect(200);
    secrets.of(&carol);
    let renewed = anonymous
        .renew(&carol.text("refresh_token"), &[])
        .await
        .expect(200);
    secrets.of(&renewed);
    let body = json!({"refresh_token": renewed.text("refresh_token")});
    secrets.of(&anonymous
        .post("/api/auth/refresh", body.clone())
        .await
        .expect(200));
    anonymous
        .renew(&carol.text("refresh_token"), &[])
        .await
        .expect(400);
    let chosen = secrets.add("row 318: a client secret").to_owned();
    client(
        server,
        "row-318",
        AuthMethod::ClientSecretBasicOrPost,
        Some(&chosen),
    )
    .await;
    let basic = STANDARD.encode(format!("row-318:{}", wire::percent(&chosen)));
    secrets.add(basic.clone());
    let grant = [
        ("grant_type", "client_credentials"),
        ("scope", "groups:read"),
    ];
    let posted = [
        &grant[..],
        &[("client_id", "row-318"), ("client_secret", &chosen)],
    ]
    .concat();
    secrets.of(&anonymous.form("/oauth/token", &posted).await.expect(200));
    let request = anonymous
        .request(Method::POST, "/oauth/token")
        .header("authorization", format!("Basic {basic}"));
    secrets.of(&anonymous.send(request.form(&grant)).await.expect(200));
    let service = server.service("row-318-generated", "groups:read").await;
    secrets.add(service.secret.clone());
    secrets.add(service.access_token.rsplit('.').next().unwrap());
    mistakes(server, secrets, &password, &chosen).await;
    let bearer = carol.text("access_token");
    for path in ["/api/auth/organizations", "/api/auth/logout"] {
        for method in [Method::GET, Method::POST] {
            let request = anonymous
                .request(method, path)
                .bearer_auth(&bearer)
                .header("cookie", "session=row-318-cookie");
            anonymous.send(request).await;
        }
    }
    secrets.add("row-318-cookie");
}

/// A secret in every wrong place.
async fn mistakes(server: &TestServer, secrets: &mut Secrets, password: &str, chosen: &str) {
    let typo = secrets.add("row 318: wrong password").to_owned();
    let anonymous = server.anonymous();
    anonymous
        .login("carol@example.com", &typo)
        .await
        .expect(401);
    anonymous.login(password, &typo).await.expect(401);
    in_bodies(server, password, chosen).await;
    in_targets(server, secrets.add(wire::percent(chosen)), chosen).await;
    secrets.add("row 318: wrong secret");
    in_forms(server, chosen).await;
    in_headers(server, chosen).await;
}

async fn in_bodies(server: &TestServer, password: &str, chosen: &str) {
    let anonymous = server.anonymous();
    for body in [
        json!({"email": password, "password": 1}),
        json!({"email": {"password": password}, "password": [password]}),
        json!({"email": password, "password": password}),
        json!({"refresh_token": chosen}),
        json!({"refresh_token": {chosen: chosen}}),
        json!({password: password}),
    ] {
        for path in ["/auth/login", "/api/auth/register", "/api/auth/refresh"] {
            assert_refuses(&anonymous.post(path, body.clone()).await);
        }
    }
    let body = json!({"email": "carol@example.com", "password": password, "org_id": password});
    assert_refuses(&anonymous.post("/api/auth/login", body).await);
}

async fn in_targets(server: &TestServer, encoded: &str, chosen: &str) {
    for target in [
        format!("/oauth/token?client_secret={encoded}"),
        format!("/{encoded}"),
        format!("/api/auth/groups/{encoded}"),
        format!("/api/auth/login?password={encoded}"),
    ] {
        for method in ["GET", "POST"] {
            let request = format!(
                "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\
                 X-Correlation-ID: {chosen}\r\nX-Secret: {chosen}\r\n\r\n"
            );
            let reply = wire::send(server, request.as_bytes()).await.unwrap();
            assert!(
                (400..500).contains(&reply.status),
                "{target}: {}",
                reply.status
            );
        }
    }
}

async fn in_forms(server: &TestServer, chosen: &str) {
    let right = [("client_id", "row-318"), ("client_secret", chosen)];
    let wrong = [
        ("client_id", "row-318"),
        ("client_secret", "row 318: wrong secret"),
    ];
    for form in [
        wrong.to_vec(),
        [&right[..], &right[1..]].concat(),
        [
            &right[..],
            &[("refresh_token", chosen), ("grant_type", chosen)],
        ]
        .concat(),
        [
            &right[..],
            &[("grant_type", "refresh_token"), ("refresh_token", chosen)],
        ]
        .concat(),
        [
            &right[..],
            &[("grant_type", "client_credentials"), ("resource", chosen)],
        ]
        .concat(),
    ] {
        assert_refuses(&server.anonymous().form("/oauth/token", &form).await);
    }
}

async fn in_headers(server: &TestServer, chosen: &str) {
    let anonymous = server.anonymous();
    let encoded = format!("Basic {}", STANDARD.encode(chosen));
    for header in [
        format!("Basic {chosen}"),
        format!("Bearer {chosen}"),
        encoded,
    ] {
        for path in ["/oauth/token", "/api/auth/organizations"] {
            let request = anonymous
                .request(Method::POST, path)
                .header("authorization", &header);
            let request = request.form(&[("grant_type", "client_credentials")]);
            assert_refuses(&anonymous.send(request).await);
        }
    }
}

#[tokio::test]
async fn row_318_no_secret_of_a_whole_run_is_found_in_logs_traces_audit_or_metrics() {
    log();
    let server = TestServer::start().await;
    let mut secrets = Secrets::default();
    secrets.add(SIGN_IN_PASSWORD);
    play(&server, &mut secrets).await;
    let master = server.app().config().master_key.as_ref().unwrap().expose();
    secrets.add(b64(master));
    secrets.add(
        master
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
    );
    for user in server.app().store().users("", 10).await.unwrap() {
        secrets.add(user.password_hash.unwrap().as_str());
    }
    let metrics = server.anonymous();
    let metrics = metrics
        .send(metrics.request(Method::GET, "/metrics"))
        .await
        .expect(200)
        .body;
    let audit: String = server
        .audit()
        .await
        .iter()
        .map(|record| format!("{}\n", record.body))
        .collect();
    // What is searched is what the run wrote: its own records are there.
    let log = logged();
    assert!(log.contains("answered") && log.lines().count() > 50);
    // What a process exports is seen by a collector alone.
    assert!(server.is_a_process() || log.contains("\"span\""));
    assert!(
        audit.contains("token_issued")
            && audit.contains("refresh_token_reuse")
            && audit.contains("login_failure")
    );
    assert!(secrets.0.len() > 20);
    secrets.assert_not_in("the log", &log);
    secrets.assert_not_in("the audit log", &audit);
    secrets.assert_not_in("the metrics", &metrics);
    assert_alive(&server).await;
}
