//! The same flow with messages in a server of MongoDB's protocol. `scripts/interop ferretdb` starts one and runs this.

use serde_json::Value;

use crate::auth::{ALICE, BOB};
use crate::chat::Chat;

fn url() -> String {
    std::env::var("CHAT_TEST_MONGODB_URL")
        .expect("CHAT_TEST_MONGODB_URL names a server; see interop/ferretdb")
}

#[tokio::test]
#[ignore = "needs a server of MongoDB's protocol: scripts/interop ferretdb starts one"]
async fn mongodb_messages_are_stored_and_read_newest_first_and_outlive_the_process() {
    let database = format!("{}chat_{}", url(), std::process::id());
    let settings = [("MONGODB_URL", database.as_str())];
    let chat = Chat::start_with(&settings).await;
    for number in 0..5 {
        let response = chat.post(ALICE, &number.to_string()).await;
        assert_eq!(response.status(), 201);
    }
    assert_eq!(chat.contents(BOB).await, ["4", "3", "2", "1", "0"]);
    let page = chat.page("limit=2").await;
    let next = chat
        .page(&format!("before={}", page[1]["id"].as_str().unwrap()))
        .await;
    assert_eq!((next.len(), &next[0]["content"]), (3, &Value::from("2")));
    assert!(next[0].get("_id").is_none());

    let auth = chat.auth.clone();
    chat.terminate();
    let (status, data) = chat.ended();
    assert!(status.success());
    assert!(
        !data.path().join("chat.db").exists(),
        "nothing went to the file"
    );
    let chat = Chat::start_on(auth, data, &settings);
    assert_eq!(chat.contents(ALICE).await.len(), 5);
    assert_eq!(chat.get("/health").await.status(), 200);
}

#[tokio::test]
#[ignore = "needs a server of MongoDB's protocol: scripts/interop ferretdb starts one"]
async fn mongodb_that_is_not_there_ends_the_start_with_a_sentence() {
    url();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_chat"))
        .envs([
            ("SERVICE_CLIENT_ID", "c"),
            ("SERVICE_CLIENT_SECRET", "s"),
            ("CHAT_PORT", "0"),
        ])
        .env("SERVICE_TOKEN_URL", "http://127.0.0.1:9/oauth/token")
        .env(
            "MONGODB_URL",
            "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500",
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Error: MONGODB_URL"));
}
