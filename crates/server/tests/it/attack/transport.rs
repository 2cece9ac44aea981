//! Theme 18 on the whole server: framing, header fields that proxies own, and what the metadata is made from.

use reqwest::Method;
use serde_json::json;
use tokensmith_testkit::{SIGN_IN_PASSWORD, TestServer};

use super::{assert_alive, audited, behind_a_proxy, wire};

#[tokio::test]
async fn row_298_the_metadata_is_made_from_the_configuration_and_never_from_the_request() {
    let server = behind_a_proxy().await;
    let anonymous = server.anonymous();
    let documents = [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ];
    for path in documents {
        let clean = anonymous
            .send(anonymous.request(Method::GET, path))
            .await
            .expect(200);
        let issuer = server.app().config().issuer.as_str();
        assert_eq!(clean.text("issuer"), issuer);
        assert_eq!(
            clean.text("token_endpoint"),
            format!("{issuer}/oauth/token")
        );
        for (name, value) in [
            ("host", "evil.test"),
            ("x-forwarded-host", "evil.test"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/evil"),
            ("forwarded", "host=evil.test;proto=https"),
            ("x-original-url", "/evil"),
            ("x-rewrite-url", "/evil"),
            ("origin", "https://evil.test"),
        ] {
            let request = anonymous.request(Method::GET, path).header(name, value);
            let answer = anonymous.send(request).await.expect(200);
            assert_eq!(answer.body, clean.body, "{name}");
            assert!(
                answer.header("vary").is_none()
                    && answer.header("access-control-allow-origin").is_none()
            );
        }
        // Target in absolute form: the authority in it is the Host (RFC 9112 section 3.2.2), and is not used either.
        let absolute = format!(
            "GET http://evil.test{path} HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"
        );
        let reply = wire::send(&server, absolute.as_bytes()).await.unwrap();
        assert!(!reply.body.contains("evil.test"), "{}", reply.body);
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_301_two_lengths_are_refused_and_what_follows_is_never_a_request() {
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    let body = format!(
        "grant_type=client_credentials&scope=groups:read&client_id=service&client_secret={}",
        service.secret
    );
    let head = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let plain = format!(
        "{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let control = wire::send(&server, plain.as_bytes()).await.unwrap();
    assert_eq!(control.status, 200, "{}", control.body);
    let smuggled = "0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 49\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n",
    ] {
        let request = format!("{head}{fields}\r\n{smuggled}");
        let reply = wire::send(&server, request.as_bytes()).await.unwrap();
        assert_eq!(reply.status, 400, "{fields}\n{}", reply.body);
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(
            !reply.body.contains("HTTP/1.1"),
            "{fields}: a second answer\n{}",
            reply.body
        );
        reply.assert_fit_for_anybody(&request);
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn a_broken_or_oversized_chunked_body_is_refused_as_any_other() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let large = format!("{:x}\r\n{}\r\n0\r\n\r\n", 300 << 10, "x".repeat(300 << 10));
    let bearer = format!("Authorization: Bearer {}\r\n", alice.access_token);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let json = "Content-Type: application/json\r\n";
    for (path, fields) in [
        ("/oauth/token", form.to_owned()),
        ("/api/auth/login", json.to_owned()),
        ("/api/auth/register", json.to_owned()),
        ("/api/auth/refresh", json.to_owned()),
        ("/api/auth/organizations", format!("{json}{bearer}")),
    ] {
        for (body, status) in [
            (large.as_str(), 413),
            ("zz\r\n", 400),
            ("ffffffffffffffffff\r\n", 400),
            ("3\r\nabcdef\r\n0\r\n\r\n", 400),
        ] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\n{fields}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let reply = wire::send(&server, format!("{head}{body}").as_bytes())
                .await
                .unwrap();
            assert_eq!(reply.status, status, "{path}: {}", reply.body);
            reply.assert_fit_for_anybody(&head);
        }
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_303_no_header_field_makes_anybody_somebody() {
    for server in [TestServer::start().await, behind_a_proxy().await] {
        let alice = server.user("alice").await;
        alice.get("/api/auth/organizations").await.expect(200);
        let names = [
            "X_Forwarded_User",
            "X-Forwarded-User",
            "X-Forwarded-Email",
            "X-Forwarded-Groups",
            "X-Remote-User",
            "Remote-User",
            "X-WEBAUTH-USER",
            "X-Auth-Request-User",
            "X-Auth-Request-Email",
            "X-Tokensmith-User",
            "X-User-Id",
            "X-Original-User",
            "X-Forwarded-Access-Token",
            "Proxy-Authorization",
            "X-Api-Key",
            "Cookie",
            "X-Access-Token",
            "Authentication",
        ];
        let values = [
            alice.id.as_str(),
            &alice.email,
            &format!("Bearer {}", alice.access_token),
            &format!("access_token={}", alice.access_token),
        ];
        let anonymous = server.anonymous();
        for name in names {
            for value in values {
                let request = anonymous
                    .request(Method::GET, "/api/auth/organizations")
                    .header(name, value);
                anonymous.send(request).await.expect_problem(401);
            }
            // Beside a good token they change nothing, and hop-by-hop fields take nothing away.
            let request = alice
                .request(Method::GET, "/api/auth/organizations")
                .header(name, "mallory@example.com");
            alice
                .send(request.header("connection", format!("close, {name}, authorization")))
                .await
                .expect(200);
        }
        assert_alive(&server).await;
    }
}

#[tokio::test]
async fn an_address_that_a_stranger_claims_is_not_recorded() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let login = json!({"email": "nobody@example.com", "password": SIGN_IN_PASSWORD});
    for (name, value) in [
        ("x-forwarded-for", "9.9.9.9"),
        ("forwarded", "for=9.9.9.9"),
        ("x-real-ip", "9.9.9.9"),
        ("x-client-ip", "9.9.9.9"),
        ("true-client-ip", "9.9.9.9"),
    ] {
        let request = anonymous
            .request(Method::POST, "/api/auth/login")
            .json(&login);
        anonymous
            .send(request.header(name, value))
            .await
            .expect_problem(401);
    }
    let lines = audited(&server, "login_failure").await;
    assert_eq!(lines.len(), 5);
    assert!(
        lines.iter().all(|line| line["ip"] == "127.0.0.1"),
        "{lines:?}"
    );
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_207_answers_that_hold_tokens_are_kept_by_no_cache() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let service = server.service("service", "groups:read").await;
    let anonymous = server.anonymous();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &service.client_id),
        ("client_secret", &service.secret),
        ("scope", "groups:read"),
    ];
    let renewed = anonymous.renew(&alice.refresh_token, &[]).await;
    let body = json!({"refresh_token": renewed.text("refresh_token")});
    let answers = [
        anonymous.form("/oauth/token", &form).await,
        anonymous.login(&alice.email, SIGN_IN_PASSWORD).await,
        anonymous
            .post(
                "/auth/login",
                json!({"email": alice.email, "password": SIGN_IN_PASSWORD}),
            )
            .await,
        anonymous.post("/api/auth/refresh", body).await,
        renewed,
    ];
    for answer in answers {
        let answer = answer.expect(200);
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{}",
            answer.request
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{}",
            answer.request
        );
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_210_no_other_origin_is_let_in() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for path in [
        "/oauth/token",
        "/api/auth/login",
        "/api/auth/organizations",
        "/.well-known/jwks.json",
    ] {
        for origin in ["https://evil.test", "null", server.base()] {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let request = alice.request(method, path).header("origin", origin);
                let answer = alice
                    .send(request.header("access-control-request-method", "POST"))
                    .await;
                let names: Vec<_> = answer
                    .headers
                    .keys()
                    .filter(|name| name.as_str().starts_with("access-control"))
                    .collect();
                assert!(names.is_empty(), "{path} {origin}: {names:?}");
            }
        }
    }
    assert_alive(&server).await;
}
