//! The checks in their order: token, sender, group, membership. What fails changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::auth::{ALICE, AUDIENCE, BOB, GROUP, MALLORY, NO_GROUP, now};
use crate::chat::{Chat, assert_problem};

fn message(sender: &str) -> Value {
    json!({"content": "x", "sender_id": sender})
}

#[tokio::test]
async fn without_a_token_the_answer_is_a_challenge_even_for_nonsense() {
    let chat = Chat::start().await;
    let path = format!("/api/chat/groups/{NO_GROUP}/messages");
    let response = chat
        .request(Method::POST, &path)
        .body("nonsense")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_problem(response, 401).await;
    assert_problem(chat.get(&path).await, 401).await;
    assert!(chat.auth.questions().is_empty());
}

#[tokio::test]
async fn tokens_that_are_not_for_this_service_are_refused() {
    let chat = Chat::start().await;
    let good = chat.auth.user_token(ALICE);
    let tampered = format!("{}{}", &good[..good.len() - 5], "AAAAA");
    let tokens = [
        tampered,
        chat.auth
            .token(json!({"sub": ALICE, "aud": ["https://other.example"]})),
        chat.auth
            .token(json!({"sub": ALICE, "iss": "https://evil.test"})),
        chat.auth.token(json!({"sub": ALICE, "exp": now() - 120})),
        chat.auth.token(json!({"sub": ALICE, "type": "refresh"})),
        chat.auth.token(json!({"sub": ALICE, "iat": now() + 300})),
        chat.auth.shared_secret_token(&"k".repeat(40), ALICE),
    ];
    for token in tokens {
        let path = format!("/api/chat/groups/{GROUP}/messages");
        let response = chat
            .request(Method::POST, &path)
            .bearer_auth(token)
            .json(&message(ALICE))
            .send()
            .await
            .unwrap();
        assert!(
            response.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .contains("invalid_token")
        );
        assert_problem(response, 401).await;
    }
    assert!(chat.contents(ALICE).await.is_empty());
}

#[tokio::test]
async fn row_326_a_token_from_thirty_seconds_ahead_is_accepted() {
    let chat = Chat::start().await;
    let token = chat
        .auth
        .token(json!({"sub": ALICE, "iat": now() + 30, "nbf": now() + 30}));
    let path = format!("/api/chat/groups/{GROUP}/messages");
    let response = chat
        .request(Method::POST, &path)
        .bearer_auth(token)
        .json(&message(ALICE))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn a_foreign_sender_is_refused_before_anyone_is_asked() {
    let chat = Chat::start().await;
    for (group, sender) in [
        (GROUP, BOB),
        (NO_GROUP, BOB),
        (GROUP, "alice"),
        (GROUP, &ALICE.to_uppercase()),
    ] {
        assert_problem(chat.post_to(group, ALICE, sender, "x").await, 403).await;
    }
    assert!(
        chat.auth.questions().is_empty(),
        "the auth service was asked"
    );
    assert!(chat.contents(ALICE).await.is_empty());
}

#[tokio::test]
async fn a_group_that_does_not_exist_is_404_for_everyone() {
    let chat = Chat::start().await;
    let groups = [
        NO_GROUP,
        "x",
        "..%2f..%2fusers",
        "%00",
        "01900000-0000-7000-8000-000000000001%20",
    ];
    for group in groups {
        for user in [ALICE, MALLORY] {
            assert_problem(chat.post_to(group, user, user, "x").await, 404).await;
            assert_problem(
                chat.messages(Method::GET, group, user)
                    .send()
                    .await
                    .unwrap(),
                404,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn who_is_not_a_member_neither_posts_nor_reads() {
    let chat = Chat::start().await;
    chat.post(ALICE, "for members").await;
    assert_problem(chat.post(MALLORY, "let me in").await, 403).await;
    assert_problem(
        chat.messages(Method::GET, GROUP, MALLORY)
            .send()
            .await
            .unwrap(),
        403,
    )
    .await;
    assert_eq!(chat.contents(ALICE).await, ["for members"]);
}

#[tokio::test]
async fn row_261_a_service_neither_posts_nor_reads_even_if_listed_as_a_member() {
    let chat = Chat::start().await;
    chat.auth.set_members(GROUP, &["some-service"]);
    let claims = json!({"sub": "some-service", "client_id": "some-service", "aud": [AUDIENCE]});
    let token = chat.auth.token(claims);
    let path = format!("/api/chat/groups/{GROUP}/messages");
    let post = chat
        .request(Method::POST, &path)
        .bearer_auth(&token)
        .json(&message("some-service"));
    assert_problem(post.send().await.unwrap(), 403).await;
    assert_problem(
        chat.request(Method::GET, &path)
            .bearer_auth(&token)
            .send()
            .await
            .unwrap(),
        403,
    )
    .await;
}

#[tokio::test]
async fn a_new_member_is_let_in_at_once_and_a_removed_one_kept_out_within_seconds() {
    let chat = Chat::start().await;
    assert_eq!(chat.post(ALICE, "1").await.status(), 201);
    assert_eq!(chat.post(MALLORY, "2").await.status(), 403);
    chat.auth.set_members(GROUP, &[MALLORY]);
    assert_eq!(chat.post(MALLORY, "3").await.status(), 201);
    chat.auth.set_members(GROUP, &[BOB]);
    tokio::time::sleep(std::time::Duration::from_millis(5100)).await;
    assert_eq!(chat.post(MALLORY, "4").await.status(), 403);
    assert_eq!(chat.contents(BOB).await, ["3", "1"]);
}

#[tokio::test]
async fn the_shared_secret_of_older_tokens_works_only_when_set() {
    let secret = "0f4e1c8a6b2d97530f4e1c8a6b2d9753";
    let chat = Chat::start_with(&[("JWT_SECRET_KEY", secret), ("JWT_ALGORITHM", "HS256")]).await;
    let path = format!("/api/chat/groups/{GROUP}/messages");
    let post = |token: String| {
        chat.request(Method::POST, &path)
            .bearer_auth(token)
            .json(&message(ALICE))
            .send()
    };
    assert_eq!(
        post(chat.auth.shared_secret_token(secret, ALICE))
            .await
            .unwrap()
            .status(),
        201
    );
    assert_eq!(
        post(chat.auth.shared_secret_token(&"x".repeat(40), ALICE))
            .await
            .unwrap()
            .status(),
        401
    );
    assert_eq!(
        post(chat.auth.user_token(ALICE)).await.unwrap().status(),
        201
    );
}
