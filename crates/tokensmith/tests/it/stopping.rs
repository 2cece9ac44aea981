//! Graceful stop (fault F20): ready turns 503, requests at work are answered, the writer's queue is flushed.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokensmith_xtask::http::Answer;

use crate::running::Ground;

#[test]
fn sigterm_under_load_answers_everything_it_accepted_and_loses_no_audit_line() {
    let ground = Ground::new();
    let mut server = ground.dev();
    let request = server.token_request("test_client", "test_secret", "read");
    let (stop, counts) = (AtomicBool::new(false), Counts::default());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    counts.add(request.send());
                }
            });
        }
        std::thread::sleep(Duration::from_millis(400));
        server.signal(Signal::TERM);
        let (status, took) = server.wait();
        stop.store(true, Ordering::Relaxed);
        let in_time = took < Duration::from_secs(10);
        assert!(
            status.success() && in_time,
            "{status} after {took:?}\n{}",
            server.log()
        );
    });
    let database = rusqlite::Connection::open(ground.database()).unwrap();
    let lines = "SELECT count(*) FROM audit_log WHERE event = 'token_issued'";
    let lines: u32 = database.query_row(lines, [], |row| row.get(0)).unwrap();
    let lines = usize::try_from(lines).unwrap();
    // A request that was at work and then cut off would have left a line without an answer.
    assert_eq!(lines, counts.granted.into_inner());
    assert!(lines > 50, "{lines}");
    assert_eq!(counts.cut_off.into_inner(), 0);
    // Between the last look at the queue and the close the system may take one more: it is reset unread.
    assert!(counts.reset.into_inner() <= 2);
}

/// What clients saw.
#[derive(Default)]
struct Counts {
    granted: AtomicUsize,
    reset: AtomicUsize,
    cut_off: AtomicUsize,
}

impl Counts {
    fn add(&self, answer: anyhow::Result<Answer>) {
        let count = match answer {
            Ok(answer) if answer.status == 200 => &self.granted,
            Ok(answer) => panic!("{}: {}", answer.status, answer.body),
            Err(error) => match error
                .root_cause()
                .downcast_ref::<io::Error>()
                .map(io::Error::kind)
            {
                Some(io::ErrorKind::ConnectionRefused) => return,
                Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => &self.reset,
                _ => &self.cut_off,
            },
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn ready_is_503_while_a_kept_connection_is_drained() {
    let ground = Ground::new();
    let mut server = ground.dev();
    let mut kept = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    assert!(ask(&mut kept).starts_with("HTTP/1.1 200"));
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(100));
    let answer = ask(&mut kept);
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("draining"),
        "{answer}"
    );
    assert!(
        answer.to_ascii_lowercase().contains("connection: close"),
        "{answer}"
    );
    assert!(server.wait().0.success());
}

fn ask(connection: &mut TcpStream) -> String {
    connection
        .write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut answer = [0; 4096];
    let length = connection.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn sigint_ends_it_too_and_the_second_signal_at_once() {
    let ground = Ground::new();
    let mut server = ground.dev();
    // A request that never ends keeps the first signal waiting.
    let mut slow = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    slow.write_all(b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(1500));
    let asked = Instant::now();
    server.signal(Signal::INT);
    let (status, _) = server.wait();
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(status.code(), Some(130));
}
