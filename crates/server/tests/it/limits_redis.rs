//! Rate limits counted in Redis: the same decisions as in memory, one count for all nodes, and what becomes of it
//! when Redis is stopped, ended, emptied or holds something else.
//!
//! Needs the Redis of `scripts/services` (TOKENSMITH_TEST_REDIS_URL), and the program `redis-server` for those that
//! are stopped.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use tokensmith_oauth2::Secret;
use tokensmith_server::{
    config::{MasterKey, Quota},
    entropy::Entropy,
    rate_limit::{Memory, Shared},
};
use tokensmith_testkit::TestServer;

use crate::limits::quota;

const PATIENT: Duration = Duration::from_secs(5);

fn redis_url() -> String {
    let url = std::env::var("TOKENSMITH_TEST_REDIS_URL");
    url.expect(
        "TOKENSMITH_TEST_REDIS_URL names no Redis: run `eval \"$(scripts/services start)\"` first",
    )
}

fn master() -> MasterKey {
    MasterKey::new(Entropy::default().bytes())
}

/// Quota and the pauses between events, in milliseconds.
fn sequences() -> impl Strategy<Value = (Quota, Vec<u32>)> {
    let quotas = (1u32..8, 60u64..240).prop_map(|(count, seconds)| quota(count, seconds));
    let pauses = vec(prop_oneof![Just(0u32), 0u32..10_000, 0u32..240_000], 1..40);
    (quotas, pauses)
}

#[test]
fn redis_and_memory_decide_alike_on_every_sequence() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shared = runtime.block_on(async { Shared::new(&redis_url(), &master(), PATIENT).unwrap() });
    let mut runner = TestRunner::new(ProptestConfig::with_cases(150));
    let case = std::cell::Cell::new(0u64);
    let outcome = runner.run(&sequences(), |(quota, pauses)| {
        let number = case.get();
        case.set(number + 1);
        let memory = Memory::default();
        let words: [&[u8]; 1] = [&number.to_be_bytes()];
        // The key lives in Redis as long as its content says, by Redis' own clock: later instants than that clock's.
        let mut now = 4_000_000_000_000_000i64;
        for pause in pauses {
            now += i64::from(pause) * 1000;
            let (here, _) = memory.take(number, quota, now);
            let there = runtime.block_on(shared.take_at(&words, quota, Some(now)));
            prop_assert_eq!(Some(here), there, "at {}", now);
        }
        Ok(())
    });
    outcome.unwrap();
}

async fn node(url: &str, key: &MasterKey, per_minute: u32, patience: Duration) -> TestServer {
    let (url, key) = (url.to_owned(), key.clone());
    TestServer::start_with(|config| {
        config.redis_url = Some(Secret::from(url));
        config.master_key = Some(key);
        config.rate_limit.requests_per_minute = per_minute.try_into().unwrap();
        config.rate_limit.redis_timeout = patience;
    })
    .await
}

/// How many of these requests were let in. None of them may fail otherwise, or take long.
async fn let_in(server: &TestServer, requests: usize) -> usize {
    let mut let_in = 0;
    for _ in 0..requests {
        let started = Instant::now();
        let form = [("username", "nobody"), ("password", "wrong")];
        let answer = server.anonymous().form("/token", &form).await;
        assert!([401, 429].contains(&answer.status), "{}", answer.body);
        assert!(started.elapsed() < Duration::from_secs(3), "slow");
        let_in += usize::from(answer.status == 401);
    }
    let_in
}

#[tokio::test]
async fn all_nodes_count_together() {
    let (url, key) = (redis_url(), master());
    let (one, other) = (
        node(&url, &key, 10, PATIENT).await,
        node(&url, &key, 10, PATIENT).await,
    );
    assert_eq!(let_in(&one, 6).await, 6);
    let by_other = let_in(&other, 10).await;
    // Redis' own time passes meanwhile: one more every six seconds.
    assert!((4..=5).contains(&by_other), "{by_other}");
    assert!(let_in(&one, 5).await <= 1);
}

/// A Redis of the test's own.
struct Redis {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Redis {
    fn start(port: Option<u16>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = port.unwrap_or_else(|| {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().port()
        });
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]);
        command.arg(directory.path()).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is installed");
        let redis = Self {
            child,
            port,
            _directory: directory,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        redis
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Runs one command by the inline form of the protocol.
    fn run(&self, command: &str) -> String {
        use std::io::{Read, Write};
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket
            .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn while_redis_is_stopped_each_node_counts_on_and_none_waits_long() {
    let redis = Redis::start(None);
    let server = node(&redis.url(), &master(), 10, Duration::from_millis(200)).await;
    assert_eq!(let_in(&server, 4).await, 4);
    redis.signal("-STOP");
    let started = Instant::now();
    // What Redis had counted is known here, too. The clock of the server stands still.
    assert_eq!(let_in(&server, 20).await, 6);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    redis.signal("-CONT");
    assert_eq!(let_in(&server, 5).await, 0);
}

#[tokio::test]
async fn a_redis_that_is_not_there_limits_all_the_same_and_counts_again_when_it_is_back() {
    let redis = Redis::start(None);
    let (url, port) = (redis.url(), redis.port);
    drop(redis);
    let key = master();
    let server = node(&url, &key, 5, Duration::from_millis(200)).await;
    assert_eq!(let_in(&server, 8).await, 5);
    let redis = Redis::start(Some(port));
    let other = node(&url, &key, 5, PATIENT).await;
    assert_eq!(let_in(&other, 8).await, 5);
    assert!(
        redis
            .run("KEYS tokensmith:limit:1:*")
            .contains("tokensmith")
    );
}

#[tokio::test]
async fn an_emptied_redis_gives_at_most_the_quota_again_and_other_data_in_it_does_no_harm() {
    let redis = Redis::start(None);
    let server = node(&redis.url(), &master(), 5, PATIENT).await;
    assert_eq!(let_in(&server, 3).await, 3);
    redis.run("FLUSHALL");
    assert!(let_in(&server, 20).await <= 5);
    let keys = redis.run("KEYS tokensmith:limit:1:*");
    let key = keys
        .lines()
        .find(|line| line.starts_with("tokensmith:"))
        .unwrap()
        .trim()
        .to_owned();
    for other in [format!("SET {key} rubbish"), format!("LPUSH {key} 1")] {
        redis.run(&format!("DEL {key}"));
        redis.run(&other);
        server.advance(Duration::from_secs(60));
        assert!(let_in(&server, 20).await <= 10);
    }
}
