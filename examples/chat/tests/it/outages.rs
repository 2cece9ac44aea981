//! The auth service is down, slow or refuses the service token. A message is never stored unchecked.

use std::time::Duration;

use reqwest::Method;
use tokio::task::JoinSet;

use crate::auth::{ALICE, BOB, GROUP, MALLORY};
use crate::chat::{Chat, assert_problem};

#[tokio::test]
async fn the_service_token_is_fetched_once_for_many_requests_with_the_scope_it_needs() {
    let chat = std::sync::Arc::new(Chat::start().await);
    chat.auth.answer_after(Duration::from_millis(50));
    let mut posts = JoinSet::new();
    for number in 0..50 {
        let chat = chat.clone();
        posts.spawn(async move {
            chat.post(ALICE, &number.to_string())
                .await
                .status()
                .as_u16()
        });
    }
    assert!(posts.join_all().await.iter().all(|status| *status == 201));
    let grants = chat.auth.grants();
    assert_eq!(grants.len(), 1);
    let (headers, body) = &grants[0];
    assert_eq!(
        body,
        "grant_type=client_credentials&scope=groups%3Aread+members%3Aread"
    );
    assert!(
        headers["authorization"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
}

#[tokio::test]
async fn a_refused_service_token_is_dropped_and_fetched_again_once() {
    let chat = Chat::start().await;
    assert_eq!(chat.post(ALICE, "1").await.status(), 201);
    chat.auth.refuse(1);
    // Bob is no news: only a question that cannot be answered from the cache reaches the auth service.
    assert_eq!(chat.post(MALLORY, "2").await.status(), 403);
    assert_eq!(chat.auth.grants().len(), 2);
}

#[tokio::test]
async fn an_auth_service_that_refuses_every_token_means_503_and_few_token_requests() {
    let chat = Chat::start().await;
    chat.auth.refuse(1000);
    for _ in 0..30 {
        assert_problem(chat.post(ALICE, "x").await, 503).await;
    }
    assert!(
        chat.auth.grants().len() <= 8,
        "{} token requests",
        chat.auth.grants().len()
    );
    chat.auth.refuse(0);
    let mut status = 503;
    for _ in 0..100 {
        status = chat.post(ALICE, "at last").await.status().as_u16();
        if status == 201 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(status, 201);
    assert_eq!(chat.contents(ALICE).await, ["at last"]);
}

#[tokio::test]
async fn while_the_auth_service_is_down_known_members_go_on_and_others_wait() {
    let chat = Chat::start().await;
    assert_eq!(chat.post(ALICE, "before").await.status(), 201);
    chat.auth.set_down(true);
    tokio::time::sleep(Duration::from_millis(5100)).await;
    assert_eq!(chat.post(ALICE, "during").await.status(), 201);
    assert_eq!(chat.post(BOB, "also").await.status(), 201);
    let response = chat.post(MALLORY, "unchecked").await;
    assert_eq!(response.headers()["retry-after"], "5");
    assert_problem(response, 503).await;
    chat.auth.set_down(false);
    assert_eq!(chat.post(MALLORY, "checked").await.status(), 403);
    assert_eq!(chat.contents(ALICE).await, ["also", "during", "before"]);
}

#[tokio::test]
async fn without_any_answer_nobody_gets_in() {
    let chat = Chat::start().await;
    // The keys are known, the groups are not.
    assert_eq!(chat.post(ALICE, "").await.status(), 422);
    chat.auth.set_down(true);
    for user in [ALICE, MALLORY] {
        let response = chat.post(user, "unchecked").await;
        assert_eq!(response.headers()["retry-after"], "5");
        assert_problem(response, 503).await;
        assert_problem(
            chat.messages(Method::GET, GROUP, user)
                .send()
                .await
                .unwrap(),
            503,
        )
        .await;
    }
    assert_eq!(chat.get("/health").await.status(), 200);
    chat.auth.set_down(false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(chat.contents(ALICE).await.is_empty());
}

#[tokio::test]
async fn an_auth_service_that_hangs_means_503_within_its_time_limit() {
    let chat = Chat::start().await;
    chat.auth.answer_after(Duration::from_secs(60));
    let started = std::time::Instant::now();
    assert_problem(chat.post(ALICE, "x").await, 503).await;
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
}
