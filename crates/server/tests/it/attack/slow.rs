//! Theme 18: whoever sends slowly or not at all loses the connection, and everybody else is served meanwhile.

use std::time::{Duration, Instant};

use tokensmith_testkit::{SIGN_IN_PASSWORD, TestServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::assert_alive;

const LIMIT: Duration = Duration::from_secs(2);
/// Longer than any limit and a busy machine together.
const PATIENCE: Duration = Duration::from_secs(20);
const CONNECTIONS: usize = 100;

async fn connect(server: &TestServer) -> TcpStream {
    let address = server.base().strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Sends a byte every 200 ms until the server closes; what it said, and after how long.
async fn trickle(mut stream: TcpStream) -> (String, Duration) {
    let (begun, mut said) = (Instant::now(), Vec::new());
    while begun.elapsed() < PATIENCE {
        let _ = stream.write_all(b"x").await;
        let read = stream.read_buf(&mut said);
        let ended = tokio::time::timeout(Duration::from_millis(200), read).await;
        if let Ok(Ok(0) | Err(_)) = ended {
            let said = String::from_utf8_lossy(&said).into_owned();
            return (said, begun.elapsed());
        }
    }
    panic!("the connection is still open after {PATIENCE:?}");
}

/// Opens many connections that begin with `head` and go on by one byte now and then.
async fn besiege(server: &TestServer, head: &str) -> tokio::task::JoinSet<(String, Duration)> {
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut stream = connect(server).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.spawn(trickle(stream));
    }
    slow
}

/// While slow connections are open, sign-ins go on as ever.
async fn everybody_else_is_served(server: &TestServer, email: &str) {
    for _ in 0..5 {
        let begun = Instant::now();
        let answer = server.anonymous().login(email, SIGN_IN_PASSWORD).await;
        answer.expect(200);
        let took = begun.elapsed();
        assert!(took < LIMIT, "a sign-in took {took:?}");
    }
}

#[tokio::test]
async fn row_304_headers_that_trickle_are_cut_off_while_others_are_served() {
    let server = TestServer::start_with(|config| config.limits.header_read_timeout = LIMIT).await;
    let alice = server.user("alice").await;
    let slow = besiege(&server, "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    everybody_else_is_served(&server, &alice.email).await;
    for (said, after) in slow.join_all().await {
        assert!(!said.contains(" 200 "), "{said}");
        assert!(after < PATIENCE && after >= LIMIT / 2, "{after:?}");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_306_idle_connections_and_slow_bodies_run_out_of_time() {
    let server = TestServer::start_with(|config| {
        config.limits.idle_timeout = LIMIT;
        config.limits.request_timeout = LIMIT;
    })
    .await;
    let alice = server.user("alice").await;
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n";
    let slow = besiege(&server, head).await;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = connect(&server).await;
        let request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        idle.push(stream);
    }
    everybody_else_is_served(&server, &alice.email).await;
    for (said, _) in slow.join_all().await {
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    }
    for mut stream in idle {
        let mut said = String::new();
        let end = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut said));
        end.await.expect("an idle connection is closed").unwrap();
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
    assert_alive(&server).await;
}
