//! The header, and one repetition after a 401.

use bytes::Bytes;
use http_body_util::Full;
use tokensmith_client::{AuthorizeLayer, Authorized, AuthorizedError, TokenErrorKind};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::stub::{Reply, Stub};

fn post(stub: &Stub, body: impl Into<reqwest::Body>) -> reqwest::Request {
    reqwest::Client::new()
        .post(format!("{}/resource", stub.url))
        .body(body)
        .build()
        .unwrap()
}

fn api(stub: &Stub) -> Authorized<reqwest::Client, tokensmith_client::ServiceTokenManager> {
    Authorized::new(reqwest::Client::new(), stub.manager())
}

fn bearer(token: &str, body: &'static str) -> (Option<String>, Bytes) {
    (Some(format!("Bearer {token}")), Bytes::from(body))
}

#[tokio::test]
async fn requests_carry_the_token() {
    let stub = Stub::start().await;
    let response = api(&stub).send(post(&stub, "hello")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(stub.resource_calls(), [bearer("t1", "hello")]);
}

#[tokio::test]
async fn after_a_401_the_request_is_repeated_once_with_a_fresh_token_and_the_same_body() {
    let stub = Stub::start().await;
    stub.refuse_calls(1);
    let response = api(&stub).send(post(&stub, "hello")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        stub.resource_calls(),
        [bearer("t1", "hello"), bearer("t2", "hello")]
    );
}

#[tokio::test]
async fn a_second_401_is_the_answer() {
    let stub = Stub::start().await;
    stub.refuse_calls(9);
    let response = api(&stub).send(post(&stub, "x")).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(stub.resource_calls().len(), 2);
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_is_not_repeated_but_the_token_is_dropped() {
    let stub = Stub::start().await;
    stub.refuse_calls(1);
    let api = api(&stub);
    let once = reqwest::Body::wrap(Full::new(Bytes::from("once")));
    assert_eq!(api.send(post(&stub, once)).await.unwrap().status(), 401);
    assert_eq!(api.send(post(&stub, "next")).await.unwrap().status(), 200);
    assert_eq!(
        stub.resource_calls(),
        [bearer("t1", "once"), bearer("t2", "next")]
    );
}

#[tokio::test]
async fn the_401_is_the_answer_when_no_fresh_token_can_be_had() {
    let stub = Stub::start().await;
    stub.refuse_calls(1)
        .replies([Reply::token("900"), Reply::status(500, "")]);
    let response = api(&stub).send(post(&stub, "x")).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(stub.resource_calls().len(), 1);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let stub = Stub::start().await;
    stub.then_always(Reply::status(500, ""));
    match api(&stub).send(post(&stub, "x")).await {
        Err(AuthorizedError::Token(error)) => {
            assert_eq!(*error.kind(), TokenErrorKind::Unavailable { status: 500 })
        }
        other => panic!("{other:?}"),
    }
    assert!(stub.resource_calls().is_empty());
}

#[tokio::test]
async fn a_request_with_its_own_authorization_is_left_alone() {
    let stub = Stub::start().await;
    stub.refuse_calls(1);
    let mut request = post(&stub, "x");
    request
        .headers_mut()
        .insert("authorization", "Bearer own".parse().unwrap());
    assert_eq!(api(&stub).send(request).await.unwrap().status(), 401);
    assert_eq!(stub.resource_calls(), [bearer("own", "x")]);
    assert_eq!(stub.count(), 0);
}

#[tokio::test]
async fn the_layer_serves_reqwest_and_http_requests() {
    let stub = Stub::start().await;
    stub.refuse_calls(1);
    let layer = AuthorizeLayer::new(stub.manager());
    let mut service = layer.layer(reqwest::Client::new());
    let response = service
        .ready()
        .await
        .unwrap()
        .call(post(&stub, "x"))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);

    let echo = service_fn(|request: http::Request<Bytes>| async move {
        let authorization = request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned();
        Ok::<_, std::convert::Infallible>(http::Response::new(authorization))
    });
    let response = layer
        .layer(echo)
        .oneshot(http::Request::new(Bytes::new()))
        .await
        .unwrap();
    assert_eq!(response.into_body(), "Bearer t2");
}
