//! Correlation ids, health, metrics, unknown paths, stopping.

use std::time::Duration;

use reqwest::Method;

use crate::auth::{ALICE, Auth, GROUP};
use crate::chat::{Chat, assert_problem};

#[tokio::test]
async fn a_correlation_id_is_echoed_and_passed_on() {
    let chat = Chat::start().await;
    let request = chat
        .messages(Method::GET, GROUP, ALICE)
        .header("x-correlation-id", "abc-DEF_1.2~3");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-correlation-id"], "abc-DEF_1.2~3");
    let questions = chat.auth.questions();
    assert_eq!(questions.len(), 2);
    assert!(
        questions
            .iter()
            .all(|headers| headers["x-correlation-id"] == "abc-DEF_1.2~3")
    );
}

#[tokio::test]
async fn a_correlation_id_that_is_none_is_replaced() {
    let chat = Chat::start().await;
    let long = "a".repeat(65);
    for given in ["a b", "", long.as_str(), "a;b", "\u{1f44b}"] {
        let request = chat
            .request(Method::GET, "/health")
            .header("x-correlation-id", given.as_bytes());
        let echoed = request.send().await.unwrap().headers()["x-correlation-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            uuid::Uuid::parse_str(&echoed).is_ok(),
            "{given:?} became {echoed:?}"
        );
    }
    let refused = chat.get("/nowhere").await;
    assert!(refused.headers().contains_key("x-correlation-id"));
}

#[tokio::test]
async fn health_and_metrics_answer_without_a_token_and_name_no_person() {
    let chat = Chat::start().await;
    chat.post(ALICE, "something private").await;
    chat.get("/nowhere/private").await;
    assert_eq!(chat.get("/health").await.status(), 200);
    let metrics = chat.get("/metrics").await.text().await.unwrap();
    let count = r#"chat_http_request_duration_seconds_count{method="POST",route="/api/chat/groups/{id}/messages",status="201"} 1"#;
    assert!(metrics.contains(count), "{metrics}");
    assert!(metrics.contains("_bucket{") && metrics.contains(r#"route="none""#));
    for private in [ALICE, GROUP, "private", "s3cret"] {
        assert!(!metrics.contains(private), "{private} is in the metrics");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let chat = Chat::start().await;
    assert_problem(chat.get("/nowhere").await, 404).await;
    let response = chat
        .messages(Method::DELETE, GROUP, ALICE)
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("allow"));
    assert_problem(response, 405).await;
}

#[tokio::test]
async fn a_token_in_the_query_is_refused() {
    let chat = Chat::start().await;
    let path = format!(
        "/api/chat/groups/{GROUP}/messages?access_token={}",
        chat.auth.user_token(ALICE)
    );
    assert_problem(chat.get(&path).await, 400).await;
}

#[tokio::test]
async fn a_request_in_progress_is_finished_before_the_service_stops() {
    let chat = std::sync::Arc::new(Chat::start().await);
    chat.auth.answer_after(Duration::from_millis(800));
    let post = tokio::spawn({
        let chat = chat.clone();
        async move { chat.post(ALICE, "in progress").await.status().as_u16() }
    });
    tokio::time::sleep(Duration::from_millis(400)).await;
    chat.terminate();
    assert_eq!(post.await.unwrap(), 201);
    let (status, _data) = std::sync::Arc::into_inner(chat).unwrap().ended();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_wrong_setting_is_named_and_ends_the_start() {
    let auth = Auth::start().await;
    let wrong = [
        ("SERVICE_CLIENT_SECRET", ""),
        ("SERVICE_SCOPE", "a\"b"),
        ("CHAT_PORT", "x"),
        ("JWT_SECRET_KEY", "short"),
        ("CHAT_DATA", "/dev/null/x"),
        ("AUTH_API_URL", "ftp://x"),
    ];
    for (name, value) in wrong {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_chat"))
            .env_clear()
            .env("AUTH_API_URL", &auth.url)
            .env("SERVICE_CLIENT_ID", "c")
            .env("SERVICE_CLIENT_SECRET", "s")
            .env("SERVICE_TOKEN_URL", format!("{}/oauth/token", auth.url))
            .env("CHAT_PORT", "0")
            .env(
                "CHAT_DATA",
                std::env::temp_dir().join(format!("chat-{}", std::process::id())),
            )
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}={value}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with("Error: "),
            "{name}={value}"
        );
    }
}
