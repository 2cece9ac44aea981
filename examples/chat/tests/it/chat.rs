//! The chat service as a process of its own, on a free port and with its own directory.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
};

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::auth::{Auth, BOB, GROUP};

pub(crate) struct Chat {
    pub(crate) auth: Auth,
    url: String,
    http: reqwest::Client,
    process: Child,
    data: Option<TempDir>,
}

impl Chat {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(Auth::start().await, tempfile::tempdir().unwrap(), settings)
    }

    pub(crate) fn start_on(auth: Auth, data: TempDir, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_chat"))
            .env_clear()
            .envs([
                ("NO_COLOR", "1"),
                ("AUTH_API_URL", &auth.url),
                ("SERVICE_CLIENT_ID", "chat-api-service"),
                ("SERVICE_CLIENT_SECRET", "s3cret"),
                ("SERVICE_TOKEN_URL", &format!("{}/oauth/token", auth.url)),
                ("CHAT_PORT", "0"),
                ("CHAT_DATA", data.path().to_str().unwrap()),
            ])
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let url = listening(&mut process);
        Self {
            auth,
            url,
            http: reqwest::Client::new(),
            process,
            data: Some(data),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// A request for the messages of a group in the name of a user.
    pub(crate) fn messages(&self, method: Method, group: &str, user: &str) -> RequestBuilder {
        let path = format!("/api/chat/groups/{group}/messages");
        self.request(method, &path)
            .bearer_auth(self.auth.user_token(user))
    }

    /// A page of the group's messages.
    pub(crate) async fn page(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/chat/groups/{GROUP}/messages?{query}");
        let request = self
            .request(Method::GET, &path)
            .bearer_auth(self.auth.user_token(BOB));
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, user: &str, content: &str) -> Response {
        self.post_to(GROUP, user, user, content).await
    }

    pub(crate) async fn post_to(
        &self,
        group: &str,
        user: &str,
        sender: &str,
        content: &str,
    ) -> Response {
        let message = json!({"content": content, "sender_id": sender});
        self.messages(Method::POST, group, user)
            .json(&message)
            .send()
            .await
            .unwrap()
    }

    /// What is stored in the group, newest first.
    pub(crate) async fn contents(&self, user: &str) -> Vec<String> {
        let messages = self
            .messages(Method::GET, GROUP, user)
            .send()
            .await
            .unwrap();
        let messages: Vec<Value> = messages.error_for_status().unwrap().json().await.unwrap();
        messages
            .iter()
            .map(|message| message["content"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn terminate(&self) {
        // The shell's own `kill`: a small machine has no program of that name.
        let kill = Command::new("sh")
            .args(["-c", "kill -TERM $0", &self.process.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the process to end and gives its data back.
    pub(crate) fn ended(mut self) -> (ExitStatus, TempDir) {
        (self.process.wait().unwrap(), self.data.take().unwrap())
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the log up to the address; the rest is read and dropped, so that the pipe never fills.
fn listening(process: &mut Child) -> String {
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut seen = String::new();
    for line in log.by_ref().map(Result::unwrap) {
        if let Some((_, address)) = line.split_once("listening address=") {
            std::thread::spawn(move || log.for_each(drop));
            return format!("http://{}", address.trim());
        }
        seen.push_str(&line);
    }
    panic!("the chat service did not start: {seen}");
}

/// Asserts the status and that the body is a problem with a sentence.
#[track_caller]
pub(crate) fn assert_problem(response: Response, status: u16) -> impl Future<Output = ()> {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    async move {
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 10),
            "{problem}"
        );
    }
}
