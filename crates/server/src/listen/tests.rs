//! The listener over real sockets, byte by byte where it matters.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::routing::{get, post};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::config::{ByteSize, Config};
use crate::correlation::CorrelationId;
use crate::observe::metrics::ErrorLabel;

struct Server {
    address: SocketAddr,
    metrics: Metrics,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/ignore", post(|| async { "ignored" }))
        .route("/users/{id}", get(|| async { (StatusCode::NOT_FOUND, Extension(ErrorLabel("not_found")), "none") }))
        .route("/who", get(|Extension(peer): Extension<PeerAddr>, Extension(id): Extension<CorrelationId>| async move { format!("{} {id}", peer.client) }))
        .route("/panic", get(|| async { panic!("on purpose") as String }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(400)).await }))
        .route("/never", get(std::future::pending::<()>))
        .route("/large", get(|| async { vec![b'x'; 8 << 20] }))
}

impl Server {
    fn start(change: impl FnOnce(&mut Limits)) -> Self {
        let config = Config::dev(0, Path::new("/tmp"));
        let mut limits = config.limits.clone();
        limits.drain_notice = Duration::from_millis(100);
        change(&mut limits);
        let metrics = Metrics::new();
        let listen = Listen {
            limits,
            proxies: config.certificate_proxies(),
            metrics: metrics.clone(),
            tls: None,
        };
        let listeners = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listeners, routes(), listen, async {
            drop(stopped.await)
        }));
        Self {
            address,
            metrics,
            stop: Some(stop),
            task,
        }
    }

    async fn open(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a new connection and reads until the server closes it.
    async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.open().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    async fn get(&self, path: &str, more: &str) -> String {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n"
        ))
        .await
    }

    fn metric(&self, line: &str) -> Option<String> {
        let text = self.metrics.render();
        text.lines()
            .find_map(|found| found.strip_prefix(line))
            .map(|value| value.trim().to_owned())
    }
}

/// What arrives until the end of the connection, within five seconds.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes)).await;
    assert!(
        read.is_ok(),
        "the connection stays open after {:?}",
        String::from_utf8_lossy(&bytes)
    );
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one answer whose body is `ok` on a connection that stays open.
async fn read_ok(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\nok") {
        let mut space = [0u8; 1024];
        let n = stream.read(&mut space).await.unwrap();
        assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&space[..n]);
    }
    String::from_utf8(bytes).unwrap()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn one(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

const OK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn every_answer_carries_a_correlation_id() {
    let server = Server::start(|_| {});
    let given = server.get("/", "X-Correlation-ID: abc-123\r\n").await;
    assert_eq!(
        (status(&given), header(&given, "x-correlation-id")),
        ("200", Some("abc-123"))
    );
    let not_found = server.get("/nowhere", "").await;
    let not_allowed = server
        .send("DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let bad_id = server.get("/", "X-Correlation-ID: <script>\r\n").await;
    let not_http = server.send("rubbish\r\n\r\n").await;
    for (answer, expected) in [
        (not_found, "404"),
        (not_allowed, "405"),
        (bad_id, "200"),
        (not_http, "400"),
    ] {
        assert_eq!(status(&answer), expected, "{answer}");
        assert_eq!(
            header(&answer, "x-correlation-id").map(str::len),
            Some(32),
            "{answer}"
        );
    }
    let who = server
        .get(
            "/who",
            "X-Correlation-ID: seen-inside\r\nX-Forwarded-For: 9.9.9.9\r\n",
        )
        .await;
    assert!(who.ends_with("127.0.0.1 seen-inside"), "{who}");
}

#[tokio::test]
async fn row_301_a_request_with_two_lengths_is_refused_and_the_connection_closed() {
    let server = Server::start(|_| {});
    let smuggled = "0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (what, fields) in [
        (
            "length then coding",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "coding then length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        ),
        (
            "odd case",
            "transfer-encoding: Chunked\r\ncontent-LENGTH: 5\r\n",
        ),
        ("two codings", "Transfer-Encoding: gzip, chunked\r\n"),
        (
            "coding twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("identity", "Transfer-Encoding: identity\r\n"),
        ("hidden coding", "Transfer-Encoding : chunked\r\n"),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("signed length", "Content-Length: +5\r\n"),
        ("list of lengths", "Content-Length: 5, 5\r\n"),
        (
            "folded",
            "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n",
        ),
    ] {
        let answer = server
            .send(format!(
                "POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n{smuggled}"
            ))
            .await;
        assert_eq!(status(&answer), "400", "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{what}: {answer}");
    }
    let cut = server.open().await;
    let answer = in_pieces(cut, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConte|nt-Length: 5\r\n\r\n0\r\n\r\n").await;
    assert_eq!(status(&answer), "400", "{answer}");
}

async fn in_pieces(mut stream: TcpStream, text: &str) -> String {
    for piece in text.split('|') {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    rest(&mut stream).await
}

#[tokio::test]
async fn a_chunked_body_is_read_and_nothing_is_served_behind_it() {
    let server = Server::start(|_| {});
    let answer = server.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(
        answer.ends_with("abc") && answer.matches("HTTP/1.1").count() == 1,
        "{answer}"
    );
}

#[tokio::test]
async fn a_request_has_exactly_one_host_and_a_method_we_know() {
    let server = Server::start(|_| {});
    for bad in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n",
    ] {
        let answer = server.send(bad).await;
        assert_eq!(status(&answer), "400", "{bad:?}: {answer}");
    }
    let connect = server
        .send("CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(connect.starts_with("HTTP/1.1 4"), "{connect}");
    let h2 = server.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!h2.contains("200"), "{h2}");
    let old = server.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), "200", "{old}");
}

#[tokio::test]
async fn header_floods_are_431() {
    let server = Server::start(|limits| limits.header_count = one(20));
    let many = "A: b\r\n".repeat(21);
    let large = format!("A: {}\r\n", "x".repeat(17 << 10));
    let endless = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "x".repeat(100 << 10));
    for answer in [
        server.get("/", &many).await,
        server.get("/", &large).await,
        server.send(endless).await,
    ] {
        assert_eq!(status(&answer), "431", "{answer}");
        assert!(
            answer.contains("\"error\":\"invalid_request\"")
                && header(&answer, "x-correlation-id").is_some(),
            "{answer}"
        );
    }
    assert_eq!(
        status(&server.get("/", &"A: b\r\n".repeat(10)).await),
        "200"
    );
    let series = "http_request_duration_seconds_count{endpoint=\"unmatched\",method=\"other\",status=\"4xx\",error=\"not_http\"}";
    assert_eq!(server.metric(series).as_deref(), Some("3"));
}

#[tokio::test]
async fn row_292_a_large_body_is_413_before_it_is_read() {
    let server = Server::start(|limits| limits.body = ByteSize::new(1000));
    let begun = Instant::now();
    let announced = server
        .send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        .await;
    assert_eq!(status(&announced), "413", "{announced}");
    assert!(begun.elapsed() < Duration::from_millis(1500));

    let mut sent = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n".to_vec();
    sent.resize(sent.len() + 10_000_000, b'x');
    let begun = Instant::now();
    let whole = server.send(sent).await;
    assert_eq!(status(&whole), "413", "{whole}");
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );

    let chunk = format!("3e9\r\n{}\r\n", "x".repeat(1001));
    let chunked = server
        .send(format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
        ))
        .await;
    assert_eq!(status(&chunked), "413", "{chunked}");
    let fits = server
        .send(format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n{}",
            "y".repeat(1000)
        ))
        .await;
    assert_eq!(status(&fits), "200", "{fits}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_before_it_sends() {
    let server = Server::start(|limits| limits.body = ByteSize::new(1000));
    let answer = server.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn row_304_a_header_that_trickles_is_cut_off() {
    let server = Server::start(|limits| limits.header_read_timeout = Duration::from_millis(300));
    let begun = Instant::now();
    let mut slow = server.open().await;
    let mut silent = server.open().await;
    let mut bytes = b"GET / HTTP/1.1\r\nHost: ".iter().cycle();
    let closed = loop {
        if slow.write_all(&[*bytes.next().unwrap()]).await.is_err() || is_closed(&mut slow).await {
            break begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(3), "still open");
    };
    assert!(closed >= Duration::from_millis(250), "{closed:?}");
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(status(&server.get("/", "").await), "200");
    assert_eq!(server.metric("http_connections ").as_deref(), Some("0"));
}

/// Whether the other side has closed, asked for 40 ms.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(40), stream.read(&mut [0u8; 64])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn row_306_slow_bodies_and_idle_connections_run_out_of_time() {
    let server = Server::start(|limits| {
        limits.request_timeout = Duration::from_millis(300);
        limits.idle_timeout = Duration::from_millis(300);
    });
    let mut upload = server.open().await;
    upload
        .write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..20 {
        if upload.write_all(b"x").await.is_err() || is_readable(&upload).await {
            break;
        }
    }
    let answer = rest(&mut upload).await;
    assert_eq!(status(&answer), "408", "{answer}");
    assert!(header(&answer, "x-correlation-id").is_some(), "{answer}");

    let slow = server.get("/never", "").await;
    assert_eq!(
        (status(&slow), header(&slow, "retry-after")),
        ("503", Some("1")),
        "{slow}"
    );

    let mut idle = server.open().await;
    idle.write_all(OK).await.unwrap();
    let answer = rest(&mut idle).await;
    assert!(
        status(&answer) == "200" && header(&answer, "connection").is_none(),
        "{answer}"
    );
    assert_eq!(
        server.metric("http_requests_in_flight ").as_deref(),
        Some("0")
    );
}

async fn is_readable(stream: &TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(40), stream.readable())
        .await
        .is_ok()
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let server = Server::start(|limits| limits.request_timeout = Duration::from_millis(300));
    let mut stream = server.open().await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let begun = Instant::now();
    while server.metric("http_connections ").as_deref() != Some("0") {
        assert!(begun.elapsed() < Duration::from_secs(3), "still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        server.metric("http_requests_in_flight ").as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn a_panic_is_one_500_and_the_server_lives() {
    let server = Server::start(|_| {});
    let answer = server.get("/panic", "X-Correlation-ID: p-1\r\n").await;
    assert_eq!(
        (status(&answer), header(&answer, "x-correlation-id")),
        ("500", Some("p-1")),
        "{answer}"
    );
    assert!(!answer.contains("on purpose"), "{answer}");
    assert_eq!(status(&server.get("/", "").await), "200");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_idle_ones_make_room() {
    let server = Server::start(|limits| limits.max_connections = one(2));
    let (mut first, _second) = (server.open().await, server.open().await);
    first.write_all(OK).await.unwrap();
    read_ok(&mut first).await;
    let third = server.get("/", "").await;
    assert_eq!(
        (status(&third), header(&third, "retry-after")),
        ("503", Some("1")),
        "{third}"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let _ = server.get("/", "").await; // asks the idle ones to make room
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(is_closed(&mut first).await);
    assert_eq!(status(&server.get("/", "").await), "200");
}

#[tokio::test]
async fn too_many_requests_at_work_are_503() {
    let server = Server::start(|limits| limits.max_in_flight = one(1));
    let slow = server.get("/slow", "");
    let other = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.get("/", "").await
    };
    let (slow, other) = tokio::join!(slow, other);
    assert_eq!((status(&slow), status(&other)), ("200", "503"), "{other}");
    assert_eq!(status(&server.get("/", "").await), "200");
}

#[tokio::test]
async fn shutdown_answers_what_is_at_work_and_asks_kept_connections_to_close() {
    let mut server = Server::start(|limits| limits.drain_notice = Duration::from_millis(200));
    let (mut idle, mut kept) = (server.open().await, server.open().await);
    for stream in [&mut idle, &mut kept] {
        stream.write_all(OK).await.unwrap();
        read_ok(stream).await;
    }
    let mut slow = server.open().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;

    kept.write_all(OK).await.unwrap();
    let last = rest(&mut kept).await;
    assert_eq!(
        (status(&last), header(&last, "connection")),
        ("200", Some("close")),
        "{last}"
    );
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "no new connections"
    );
    let slow = rest(&mut slow).await;
    assert_eq!(status(&slow), "200", "{slow}");
    assert_eq!(rest(&mut idle).await, "");
    tokio::time::timeout(Duration::from_secs(2), server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn shutdown_ends_at_its_deadline_whatever_is_at_work() {
    let mut server = Server::start(|limits| limits.drain_timeout = Duration::from_millis(300));
    let mut never = server.open().await;
    never
        .write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    server.stop.take().unwrap().send(()).unwrap();
    server.task.await.unwrap().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(rest(&mut never).await, "");
}

#[tokio::test]
async fn metrics_know_the_route_and_the_error_and_never_the_path() {
    let server = Server::start(|_| {});
    server
        .get("/users/alice@example.com?code=hunter2", "")
        .await;
    server.get("/users/bob", "").await;
    server.get("/secret-path", "").await;
    server.get("/", "").await;
    server.get("/?again", "").await; // by the shorter way of a known path
    let text = server.metrics.render();
    for line in [
        "http_request_duration_seconds_count{endpoint=\"/users/{id}\",method=\"GET\",status=\"4xx\",error=\"not_found\"} 2",
        "http_request_duration_seconds_count{endpoint=\"unmatched\",method=\"GET\",status=\"4xx\",error=\"\"} 1",
        "http_request_duration_seconds_count{endpoint=\"/\",method=\"GET\",status=\"2xx\",error=\"\"} 2",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    for hidden in ["alice", "bob", "hunter2", "secret-path", "127.0.0.1"] {
        assert!(!text.contains(hidden), "row 281: {hidden} in\n{text}");
    }
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let server = Server::start(|_| {});
    let ahead = format!(
        "{0}{0}GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\nrubbish\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    );
    let answers = server.send(ahead).await;
    let statuses: Vec<&str> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| status(&answers[at..]))
        .collect();
    assert_eq!(statuses, ["200", "200", "404", "400"], "{answers}");
    assert_eq!(
        answers.matches("x-correlation-id: ").count(),
        4,
        "{answers}"
    );
}

#[tokio::test]
async fn a_body_the_route_does_not_read_does_not_break_the_answer() {
    let server = Server::start(|_| {});
    let mut request =
        b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n".to_vec();
    request.resize(request.len() + 200_000, b'x');
    let answer = server.send(request).await;
    assert!(
        status(&answer) == "200" && answer.ends_with("ignored"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = taken[0].local_addr().unwrap();
    let refusal = bind(&[address]).unwrap_err().to_string();
    assert!(
        refusal.starts_with(&format!("cannot listen on {address}")),
        "{refusal}"
    );
}
