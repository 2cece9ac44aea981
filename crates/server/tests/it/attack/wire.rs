//! Requests as bytes, for what an HTTP client would never send, and answers judged as any client may rely on them.

use std::time::Duration;

use serde_json::Value;
use tokensmith_testkit::TestServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than any answer takes, shorter than any limit of the listener: past it the server hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Words that only the inside of the server uses.
const INSIDE: [&str; 20] = [
    "sqlite",
    "rusqlite",
    "postgres",
    "select ",
    "insert into",
    "no such table",
    "constraint",
    "crates/",
    ".rs:",
    "src/",
    "panicked",
    "unwrap",
    "backtrace",
    "/home",
    "/tmp",
    "/root",
    "axum",
    "hyper",
    "serde",
    "argon2id$",
];

/// An answer, taken apart.
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

/// Sends bytes on a connection of their own and reads until the server closes it.
pub(super) async fn send(server: &TestServer, request: &[u8]) -> Option<Reply> {
    server.settle().await;
    let answer = tokio::time::timeout(PATIENCE, exchange(server, request)).await;
    answer.expect("the server answers or closes the connection")
}

async fn exchange(server: &TestServer, request: &[u8]) -> Option<Reply> {
    let address = server.base().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    // A server that refuses early may close before everything is sent; what it said counts.
    let sending = async {
        let _ = write.write_all(request).await;
    };
    let reading = async {
        let _ = read.read_to_end(&mut answer).await;
    };
    tokio::join!(sending, reading);
    Reply::parse(&answer)
}

impl Reply {
    fn parse(answer: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(answer);
        let text = text
            .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
            .unwrap_or(&text);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.get(9..12)?.parse().ok()?;
        Some(Self {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let fields = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }

    /// Whatever was asked: no failure of the server, a correlation id, JSON of a known shape, nothing of the inside.
    #[track_caller]
    pub(super) fn assert_fit_for_anybody(&self, request: &str) {
        assert!(
            (200..500).contains(&self.status) && self.status != 302,
            "{request}\n{} {}",
            self.status,
            self.body
        );
        assert!(
            self.header("x-correlation-id").is_some(),
            "{request}\n{}",
            self.head
        );
        if self.status == 405 {
            assert!(self.header("allow").is_some(), "{request}\n{}", self.head);
        }
        if self.status >= 400 && !request.starts_with("HEAD ") {
            self.assert_error(request);
        }
    }

    #[track_caller]
    fn assert_error(&self, request: &str) {
        let kind = self.header("content-type").unwrap_or_default();
        if kind.starts_with("text/html") {
            assert!(self.body.contains("</html>"), "{request}\n{}", self.body);
            return assert_public(request, &self.body);
        }
        assert!(
            ["application/problem+json", "application/json"].contains(&kind),
            "{request}\n{}\n{}",
            self.head,
            self.body
        );
        let body: Value =
            serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{request}\n{}", self.body));
        let sentence = body.get("detail").or_else(|| body.get("error_description"));
        let sentence = sentence.and_then(Value::as_str).unwrap_or_default();
        assert!(sentence.ends_with('.'), "{request}\n{}", self.body);
        assert_public(request, &self.body);
    }
}

/// No SQL, path, library or stack in what the caller reads.
#[track_caller]
pub(super) fn assert_public(request: &str, body: &str) {
    let lower = body.to_ascii_lowercase();
    for inside in INSIDE {
        assert!(
            !lower.contains(inside),
            "{inside:?} in the answer to {request}\n{body}"
        );
    }
}

/// Every byte as a percent escape.
pub(super) fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
