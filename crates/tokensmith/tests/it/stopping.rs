//! Graceful stop (fault F20): ready turns 503, requests at work are answered, the writer's queue is flushed.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::running::Ground;

#[test]
fn sigterm_under_load_answers_everything_it_accepted_and_loses_no_audit_line() {
    let ground = Ground::new();
    let mut server = ground.dev();
    let request = server.token_request("test_client", "test_secret", "read");
    let (stop, granted, broken) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    match request.send() {
                        Ok(answer) if answer.status == 200 => {
                            granted.fetch_add(1, Ordering::Relaxed)
                        }
                        Ok(answer) => panic!("{}: {}", answer.status, answer.body),
                        // Refused before it was accepted is fine; cut off after it was sent is not.
                        Err(error)
                            if error.downcast_ref::<std::io::Error>().is_some_and(|error| {
                                error.kind() == std::io::ErrorKind::ConnectionRefused
                            }) =>
                        {
                            return;
                        }
                        Err(_) => broken.fetch_add(1, Ordering::Relaxed),
                    };
                }
            });
        }
        std::thread::sleep(Duration::from_millis(400));
        server.signal(Signal::TERM);
        let (status, took) = server.wait();
        stop.store(true, Ordering::Relaxed);
        assert!(
            status.success() && took < Duration::from_secs(10),
            "{status} after {took:?}\n{}",
            server.log()
        );
    });
    assert_eq!(broken.into_inner(), 0, "requests were cut off");
    let database = rusqlite::Connection::open(ground.database()).unwrap();
    let lines = "SELECT count(*) FROM audit_log WHERE event = 'token_issued'";
    let lines: i64 = database.query_row(lines, [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(lines).unwrap(), granted.into_inner());
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
