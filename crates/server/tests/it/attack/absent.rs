//! Rows that speak of endpoints which are not built: not advertised, not there. Whoever builds one of them meets this
//! test, and then moves its rows in docs/testing.md from "not yet" to a test of their own.

use reqwest::Method;
use serde_json::Value;
use tokensmith_store::AuthMethod;
use tokensmith_testkit::TestServer;

use super::{assert_alive, client};

const SECRET: &str = "a secret of the test, long enough";

/// The member of the metadata that would name it, and its path.
const ENDPOINTS: [(&str, &str); 7] = [
    ("authorization_endpoint", "/oauth/authorize"),
    ("pushed_authorization_request_endpoint", "/oauth/par"),
    (
        "device_authorization_endpoint",
        "/oauth/device_authorization",
    ),
    ("userinfo_endpoint", "/oauth/userinfo"),
    ("registration_endpoint", "/oauth/register"),
    ("end_session_endpoint", "/oauth/logout"),
    ("", "/api/v1/oauth/providers"),
];

async fn metadata(server: &TestServer) -> Value {
    let anonymous = server.anonymous();
    let request = anonymous.request(Method::GET, "/.well-known/oauth-authorization-server");
    anonymous.send(request).await.expect(200).json()
}

#[tokio::test]
async fn endpoints_that_are_not_built_are_neither_advertised_nor_there() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let metadata = metadata(&server).await;
    assert!(metadata["token_endpoint"].is_string());
    for (member, path) in ENDPOINTS {
        assert!(metadata.get(member).is_none(), "{member}");
        for method in [Method::GET, Method::POST] {
            alice
                .send(alice.request(method, path))
                .await
                .expect_problem(404);
        }
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn grants_and_methods_that_are_not_built_are_neither_advertised_nor_taken() {
    let server = TestServer::start().await;
    client(
        &server,
        "C1",
        AuthMethod::ClientSecretBasicOrPost,
        Some(SECRET),
    )
    .await;
    let methods = metadata(&server).await["token_endpoint_auth_methods_supported"].to_string();
    assert!(!methods.contains("tls"), "{methods}");
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "groups:read"),
        ("client_id", "C1"),
    ];
    let right = ("client_secret", SECRET);
    let ask = async |more: &[(&str, &str)]| {
        server
            .anonymous()
            .form("/oauth/token", &[&form, more].concat())
            .await
    };
    ask(&[right]).await.expect(200);
    let supported = metadata(&server).await["grant_types_supported"].to_string();
    assert_eq!(
        supported,
        r#"["client_credentials","refresh_token","urn:ietf:params:oauth:grant-type:token-exchange","urn:ietf:params:oauth:grant-type:jwt-bearer"]"#
    );
    for grant in [
        "password",
        "authorization_code",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
        "CLIENT_CREDENTIALS",
    ] {
        let form = [("grant_type", grant), ("client_id", "C1"), right];
        let answer = server.anonymous().form("/oauth/token", &form).await;
        answer.expect_oauth_error(400, "unsupported_grant_type");
    }
    assert_alive(&server).await;
}
