//! Posting and reading.

use reqwest::Method;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::auth::{ALICE, BOB, GROUP, ORG};
use crate::chat::{Chat, assert_problem};

#[tokio::test]
async fn a_members_message_is_stored_with_the_organization_of_the_group() {
    let chat = Chat::start().await;
    let response = chat.post(ALICE, "Hello, group! \u{1f44b}\n").await;
    assert_eq!(response.status(), 201);
    let message: Value = response.json().await.unwrap();
    assert_eq!(
        (&message["group_id"], &message["org_id"]),
        (&json!(GROUP), &json!(ORG))
    );
    assert_eq!(
        (&message["sender_id"], &message["content"]),
        (&json!(ALICE), &json!("Hello, group! \u{1f44b}\n"))
    );
    let id = Uuid::parse_str(message["id"].as_str().unwrap()).unwrap();
    assert_eq!(id.get_version_num(), 7);
    let created = OffsetDateTime::parse(message["created_at"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(
        created
            .unix_timestamp()
            .abs_diff(i64::try_from(crate::auth::now()).unwrap())
            < 5
    );
    let read = chat.messages(Method::GET, GROUP, BOB).send().await.unwrap();
    assert_eq!(read.json::<Value>().await.unwrap(), json!([message]));
}

#[tokio::test]
async fn messages_come_newest_first_in_pages() {
    let chat = Chat::start().await;
    for number in 0..7 {
        assert_eq!(chat.post(ALICE, &number.to_string()).await.status(), 201);
    }
    let mut seen = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let page = chat.page(&query).await;
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        query = format!("limit=3&before={}", last["id"].as_str().unwrap());
        seen.extend(page.iter().map(|message| message["content"].clone()));
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn a_page_has_fifty_messages_unless_asked_otherwise() {
    let chat = Chat::start().await;
    for number in 0..51 {
        chat.post(ALICE, &number.to_string()).await;
    }
    assert_eq!(chat.contents(ALICE).await.len(), 50);
    assert_eq!(chat.page("limit=100").await.len(), 51);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let chat = Chat::start().await;
    let queries = [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=",
        "before=x",
        "before=",
        "limit=1&limit=2",
        "offset=1",
        "limit=1%00",
    ];
    for query in queries {
        let path = format!("/api/chat/groups/{GROUP}/messages?{query}");
        let request = chat
            .request(Method::GET, &path)
            .bearer_auth(chat.auth.user_token(ALICE));
        assert_problem(request.send().await.unwrap(), 422).await;
    }
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_and_nothing_is_stored() {
    let chat = Chat::start().await;
    let unprocessable = [
        "{}",
        "[]",
        "null",
        "\"x\"",
        &json!({"content": "x"}).to_string(),
        &json!({"sender_id": ALICE}).to_string(),
        &json!({"content": 1, "sender_id": ALICE}).to_string(),
        &json!({"content": null, "sender_id": ALICE}).to_string(),
        &json!({"content": "x", "sender_id": ALICE, "org_id": "evil"}).to_string(),
        &json!({"content": "", "sender_id": ALICE}).to_string(),
        &json!({"content": "x".repeat(4001), "sender_id": ALICE}).to_string(),
        &json!({"content": "a\u{0}b", "sender_id": ALICE}).to_string(),
        &format!(r#"{{"content":"x","content":"y","sender_id":"{ALICE}"}}"#),
    ];
    for body in unprocessable {
        let request = chat
            .messages(Method::POST, GROUP, ALICE)
            .header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), 422, "{body}");
        assert_problem(response, 422).await;
    }
    let body = |kind: &'static str, text: String| {
        chat.messages(Method::POST, GROUP, ALICE)
            .header("content-type", kind)
            .body(text)
            .send()
    };
    assert_problem(body("application/json", "{".into()).await.unwrap(), 400).await;
    assert_problem(body("application/json", String::new()).await.unwrap(), 400).await;
    assert_problem(body("text/plain", "{}".into()).await.unwrap(), 415).await;
    assert_problem(
        body("application/json", " ".repeat(100_000)).await.unwrap(),
        413,
    )
    .await;
    assert!(chat.contents(ALICE).await.is_empty());
}

#[tokio::test]
async fn content_may_have_4000_characters_however_they_are_written() {
    let chat = Chat::start().await;
    let escaped = "\\ud83d\\udc4b".repeat(4000);
    let body = format!(r#"{{"content":"{escaped}","sender_id":"{ALICE}"}}"#);
    let request = chat
        .messages(Method::POST, GROUP, ALICE)
        .header("content-type", "application/json");
    assert_eq!(request.body(body).send().await.unwrap().status(), 201);
    assert_eq!(chat.contents(ALICE).await[0].chars().count(), 4000);
}

#[tokio::test]
async fn messages_outlive_the_process() {
    let chat = Chat::start().await;
    chat.post(ALICE, "kept").await;
    let auth = chat.auth.clone();
    chat.terminate();
    let (status, data) = chat.ended();
    assert!(status.success());
    let chat = Chat::start_on(auth, data, &[]);
    assert_eq!(chat.contents(BOB).await, ["kept"]);
}
