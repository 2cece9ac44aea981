//! Where a token may stand, the layer, and protected resource metadata.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::json;
use tokensmith_resource_server::ResourceServer;

use crate::issuer::{AUDIENCE, Issuer, USER};
use crate::protected::{app, assert_ok, get_with, get_without, layered, routes, send};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn row_151_a_token_in_the_query_is_refused_with_and_without_a_header() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let token = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me?page=1", &token).await);
    for name in ["access_token", "access%5Ftoken"] {
        let path = format!("/me?{name}={token}");
        for reply in [
            get_without(&app, &path).await,
            get_with(&app, &path, &token).await,
        ] {
            assert_eq!(
                (reply.status, &reply.json()["error"]),
                (400, &json!("invalid_request"))
            );
            assert!(!reply.text.contains(&token) && !reply.challenge.unwrap().contains(&token));
        }
        assert_eq!(
            get_without(&app, &format!("/greeting?{name}={token}"))
                .await
                .status,
            400
        );
    }
}

#[tokio::test]
async fn row_151_a_token_in_header_and_form_is_refused_and_other_forms_arrive_whole() {
    let issuer = Issuer::start().await;
    let app = layered(issuer.server());
    let token = issuer.token(&issuer.claims());
    let post = |form: String| {
        let request = Request::post("/form").header(AUTHORIZATION, bearer(&token));
        request
            .header(
                CONTENT_TYPE,
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(Body::from(form))
            .unwrap()
    };
    let honest = send(&app, post("text=hello&n=1".to_owned())).await;
    assert_eq!(
        (honest.status, honest.text.as_str()),
        (200, format!("{USER} text=hello&n=1").as_str())
    );
    let both = send(&app, post(format!("text=hello&access_token={token}"))).await;
    assert_eq!(
        (both.status, &both.json()["error"]),
        (400, &json!("invalid_request"))
    );
    let large = send(&app, post("a".repeat(1024 * 1024 + 1))).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn a_form_token_without_a_header_is_no_token() {
    let issuer = Issuer::start().await;
    let form = format!("access_token={}", issuer.token(&issuer.claims()));
    let request = Request::post("/form").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let reply = send(
        &layered(issuer.server()),
        request.body(Body::from(form)).unwrap(),
    )
    .await;
    assert_eq!(
        (reply.status, reply.challenge.as_deref()),
        (401, Some("Bearer"))
    );
}

#[tokio::test]
async fn two_authorization_headers_are_refused_though_both_are_good() {
    let issuer = Issuer::start().await;
    let token = issuer.token(&issuer.claims());
    for app in [app(issuer.server()), layered(issuer.server())] {
        let request = Request::get("/me")
            .header(AUTHORIZATION, bearer(&token))
            .header(AUTHORIZATION, bearer(&token));
        let reply = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]),
            (400, &json!("invalid_request"))
        );
    }
}

#[tokio::test]
async fn other_schemes_are_answered_with_the_bare_challenge() {
    let issuer = Issuer::start().await;
    let token = issuer.token(&issuer.claims());
    for value in ["Basic YTpi".to_owned(), token.clone()] {
        let request = Request::get("/me").header(AUTHORIZATION, value);
        let reply = send(&app(issuer.server()), request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status, reply.challenge.as_deref()),
            (401, Some("Bearer"))
        );
    }
}

#[tokio::test]
async fn the_layer_refuses_before_any_handler_and_hands_the_caller_on() {
    let issuer = Issuer::start().await;
    let app = layered(issuer.server());
    assert_eq!(get_without(&app, "/greeting").await.status, 401);
    assert_eq!(get_without(&app, "/me").await.status, 401);
    let token = issuer.token(&issuer.claims());
    assert_eq!(get_with(&app, "/greeting", &token).await.text, USER);
    get_with(&app, "/me", "x.y.z")
        .await
        .assert_invalid_token("the token is not a compact JWS");
}

#[tokio::test]
async fn the_optional_layer_lets_strangers_pass_and_refuses_bad_tokens() {
    let issuer = Issuer::start().await;
    let server = issuer.server();
    let app = routes().layer(server.layer().optional()).with_state(server);
    assert_eq!(get_without(&app, "/greeting").await.text, "stranger");
    assert_eq!(get_without(&app, "/me").await.status, 401);
    assert_eq!(get_with(&app, "/greeting", "x").await.status, 401);
}

#[tokio::test]
async fn an_extractor_does_not_take_over_the_caller_of_another_server_s_layer() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let app = routes()
        .layer(issuer.server().layer())
        .with_state(other.server());
    let reply = get_with(&app, "/me", &issuer.token(&issuer.claims())).await;
    reply.assert_invalid_token("the token names no known key");
}

#[tokio::test]
async fn the_metadata_document_says_what_rfc_9728_asks() {
    let issuer = Issuer::start().await;
    let builder = issuer.builder().scopes_supported(["groups:read"]);
    let server = builder
        .resource_metadata_url("https://api.activity.com/.well-known/oauth-protected-resource/v1")
        .build()
        .unwrap();
    let app = server.metadata_router::<()>();
    let document = get_without(&app, "/.well-known/oauth-protected-resource/v1")
        .await
        .json();
    let expected = json!({"resource": AUDIENCE, "authorization_servers": [issuer.url], "scopes_supported": ["groups:read"],
        "bearer_methods_supported": ["header"]});
    assert_eq!(document, expected);
    let plain = ResourceServer::builder(&issuer.url, AUDIENCE)
        .build()
        .unwrap()
        .metadata_router::<()>();
    assert_ok(&get_without(&plain, "/.well-known/oauth-protected-resource").await);
}
