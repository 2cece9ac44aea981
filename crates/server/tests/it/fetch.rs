//! Fetching what was registered: against listeners on loopback that redirect, hang, send too much, or change their keys.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::json;
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_server::{
    config::{Config, Fetch},
    fetch::{FetchError, Fetcher, KeyAddress, KeySets, RefusedUrl},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A listener that answers every connection with the same bytes.
pub(crate) struct Stub {
    address: String,
    connections: Arc<AtomicUsize>,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Stub {
    pub(crate) async fn start(answer: Vec<u8>) -> Self {
        Self::slow(answer, Duration::ZERO).await
    }

    async fn slow(answer: Vec<u8>, wait: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self {
            address: listener.local_addr().unwrap().to_string(),
            connections: Arc::default(),
            answer: Arc::new(Mutex::new(answer)),
        };
        let (connections, answer) = (stub.connections.clone(), stub.answer.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _read = stream.read(&mut request).await;
                    tokio::time::sleep(wait).await;
                    let answer = answer.lock().clone();
                    let _written = stream.write_all(&answer).await;
                });
            }
        });
        stub
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn answers(&self, answer: Vec<u8>) {
        *self.answer.lock() = answer;
    }
}

/// A whole answer with further header fields.
pub(crate) fn ok(body: &[u8], headers: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// A JWK set of these keys, as an answer.
pub(crate) fn published(keys: &[&SigningKey]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    ok(json!({ "keys": keys }).to_string().as_bytes(), "")
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

fn settings(change: impl FnOnce(&mut Fetch)) -> Fetch {
    let mut fetch = Config::dev(8000, std::path::Path::new("unused")).fetch;
    change(&mut fetch);
    fetch
}

fn fetcher() -> Fetcher {
    Fetcher::new(&settings(|fetch| fetch.plain_http_to_loopback = true))
}

fn address(url: String) -> KeyAddress {
    KeyAddress {
        url,
        algorithm: None,
    }
}

#[tokio::test]
async fn a_document_is_fetched_whole_with_the_time_it_may_be_kept() {
    let cases = [
        ("", None),
        ("cache-control: public, Max-Age=600\r\n", Some(600)),
        ("cache-control: no-store, max-age=600\r\n", Some(0)),
        ("cache-control: max-age=-1\r\n", None),
    ];
    for (headers, seconds) in cases {
        let stub = Stub::start(ok(b"{}", headers)).await;
        let fetched = fetcher().get(&stub.url()).await.unwrap();
        assert_eq!(fetched.body, b"{}");
        assert_eq!(
            fetched.max_age,
            seconds.map(Duration::from_secs),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn nothing_inside_is_connected_to_without_a_setting() {
    let stub = Stub::start(ok(b"{}", "")).await;
    let strict = Fetcher::new(&settings(|_| {}));
    let port = stub.address.rsplit_once(':').unwrap().1.to_owned();
    for url in [
        stub.url(),
        format!("https://{}/", stub.address),
        format!("https://localhost:{port}/"),
        format!("https://127.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
    ] {
        assert!(
            matches!(strict.get(&url).await, Err(FetchError::Refused(_))),
            "{url}"
        );
    }
    // A name that is judged when it is resolved: this machine's own name leads to an address inside.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if let Ok(mut found) = tokio::net::lookup_host((name.trim(), 0)).await
        && found.any(|found| found.ip().is_loopback())
    {
        let answer = strict
            .get(&format!("https://{}:{port}/", name.trim()))
            .await;
        let Err(FetchError::Transport(why)) = answer else {
            panic!("{answer:?}")
        };
        assert!(why.contains(&RefusedUrl::NotPublic.to_string()), "{why}");
    }
    assert_eq!(stub.connections(), 0);
    let allowed = Fetcher::new(&settings(|fetch| fetch.plain_http_to_loopback = true));
    allowed.get(&stub.url()).await.unwrap();
    assert_eq!(stub.connections(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_a_way() {
    let inside = Stub::start(ok(b"{}", "")).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            inside.url()
        );
        let stub = Stub::start(answer.into_bytes()).await;
        let refused = fetcher().get(&stub.url()).await.unwrap_err();
        assert!(matches!(refused, FetchError::Status(_)), "{refused}");
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_body_is_bounded_whether_or_not_it_says_its_length() {
    let large = vec![b' '; (1 << 20) + 1];
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(17)
    );
    for answer in [ok(&large, ""), chunked.into_bytes()] {
        let stub = Stub::start(answer).await;
        assert!(matches!(
            fetcher().get(&stub.url()).await,
            Err(FetchError::TooLarge)
        ));
    }
    let stub = Stub::start(ok(&large[1..], "")).await;
    assert_eq!(
        fetcher().get(&stub.url()).await.unwrap().body.len(),
        1 << 20
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up_after_five_seconds() {
    let stub = Stub::slow(ok(b"{}", ""), Duration::from_secs(60)).await;
    let began = Instant::now();
    let late = fetcher().get(&stub.url()).await.unwrap_err();
    assert!(
        matches!(late, FetchError::Timeout | FetchError::Transport(_)),
        "{late}"
    );
    assert!(
        (4..8).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn fifty_callers_share_one_fetch() {
    let key = key();
    let stub = Stub::slow(published(&[&key]), Duration::from_millis(200)).await;
    let sets = KeySets::new(fetcher());
    let address = address(stub.url());
    let calls = (0..50).map(|_| sets.current(&address));
    for keys in futures_util::future::join_all(calls).await {
        assert_eq!(keys.unwrap().len(), 1);
    }
    assert_eq!(stub.connections(), 1);
}

#[tokio::test]
async fn an_unknown_key_costs_one_fetch_an_interval() {
    let key = key();
    let stub = Stub::start(published(&[&key])).await;
    let sets = KeySets::new(fetcher());
    let address = address(stub.url());
    let keys = sets.current(&address).await.unwrap();
    for _ in 0..20 {
        assert!(sets.newer_than(&address, &keys).await.is_none());
    }
    assert_eq!(stub.connections(), 1, "it was fetched a moment ago");
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_asked_for_once_a_second() {
    let stub = Stub::start(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let sets = KeySets::new(fetcher());
    let address = address(stub.url());
    for _ in 0..20 {
        assert!(sets.current(&address).await.is_err());
    }
    assert_eq!(stub.connections(), 1);
    for answer in [
        ok(b"[]", ""),
        ok(br#"{"keys":[],"keys":[]}"#, ""),
        ok(b"<html>", ""),
    ] {
        let stub = Stub::start(answer).await;
        let address = KeyAddress {
            url: stub.url(),
            algorithm: None,
        };
        assert!(sets.current(&address).await.is_err());
    }
    let key = key();
    stub.answers(published(&[&key]));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(sets.current(&address).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_sender_who_never_answers_holds_few_requests() {
    let stub = Stub::slow(ok(b"{}", ""), Duration::from_secs(60)).await;
    let sets = KeySets::new(fetcher());
    let address = address(stub.url());
    let began = Instant::now();
    let calls = (0..300).map(|_| async {
        assert!(sets.current(&address).await.is_err());
        began.elapsed() < Duration::from_secs(2)
    });
    let at_once = futures_util::future::join_all(calls).await;
    assert_eq!(at_once.into_iter().filter(|soon| !soon).count(), 64);
    assert_eq!(stub.connections(), 1);
}
