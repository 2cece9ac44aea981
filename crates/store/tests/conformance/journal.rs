//! SQLite: the audit journal. A recorded line is in the chain for every reader, in order, once, whatever dies when.

use std::{path::Path, sync::Arc};

use tokensmith_store::*;

use crate::{actors::*, ground::*, races::race};

async fn record(store: &Store, number: usize) -> Result<(), StoreError> {
    let event = AuditEvent::new("token_issued")
        .user(format!("u{}", number % 3))
        .field("n", number);
    store.record(at(NOW), event).await
}

/// The numbers of all recorded lines, in the order of the chain.
async fn numbers(store: &Store) -> Vec<usize> {
    let mut page = AuditPage {
        after: 0,
        limit: 5000,
    };
    let mut numbers = Vec::new();
    loop {
        let lines = store.audit_page(page).await.expect("an answer");
        let Some(last) = lines.last() else {
            return numbers;
        };
        page.after = last.id();
        let bodies = lines.iter().filter(|line| line.event == "token_issued");
        numbers.extend(bodies.map(|line| {
            let body: serde_json::Value = serde_json::from_str(&line.body).expect("JSON");
            body["n"]
                .as_str()
                .expect("a number")
                .parse::<usize>()
                .expect("a number")
        }));
    }
}

async fn assert_whole(store: &Store, expected: impl Iterator<Item = usize>) {
    assert_eq!(numbers(store).await, expected.collect::<Vec<_>>());
    assert_eq!(store.verify_audit().await.unwrap().1, []);
}

fn beside(path: &Path) -> std::path::PathBuf {
    path.with_file_name(format!(
        "{}-audit",
        path.file_name().unwrap().to_string_lossy()
    ))
}

/// A server's store on a file of its own.
struct Server {
    directory: tempfile::TempDir,
    store: Arc<Store>,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("t.db");
        let store = Arc::new(open_as_server(&path).await);
        Self { directory, store }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("t.db")
    }

    /// Takes SQLite's write lock, so that the writer cannot move anything.
    fn stop_writer(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.path()).expect("the file opens");
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the lock");
        connection
    }

    /// What a death of the process at this moment would leave.
    fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a directory");
        for entry in std::fs::read_dir(self.directory.path()).expect("files") {
            let entry = entry.expect("a file");
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
        }
        copy
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_line_is_read_at_once_and_in_order() {
    let server = Server::start().await;
    for number in 0..700 {
        record(&server.store, number).await.unwrap();
        if number % 97 == 0 {
            assert_eq!(numbers(&server.store).await.len(), number + 1);
        }
    }
    assert_eq!(
        server.store.audit_of_user("u1", 1000).await.unwrap().len(),
        233
    );
    assert_whole(&server.store, 0..700).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_line_comes_before_what_is_written_after_it() {
    let server = Server::start().await;
    for number in 0..50 {
        record(&server.store, number).await.unwrap();
        let scope = ScopeDeclaration {
            name: format!("s{number}"),
            description: String::new(),
            implies: Vec::new(),
        };
        let context = at(NOW);
        server
            .store
            .write(PutScope { scope, context })
            .await
            .unwrap();
    }
    let lines = server
        .store
        .audit_page(AuditPage {
            after: 0,
            limit: 500,
        })
        .await
        .unwrap();
    let words: Vec<&str> = lines.iter().map(|line| line.event.as_str()).collect();
    let expected: Vec<&str> = ["token_issued", "scope_declared"].repeat(50);
    assert_eq!(words, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_lose_and_double_nothing_while_the_journal_rewinds() {
    let server = Server::start().await;
    race(50, |caller| {
        let store = Arc::clone(&server.store);
        async move {
            for turn in 0..200 {
                record(&store, caller * 200 + turn).await.expect("a line");
            }
        }
    })
    .await;
    let mut seen = numbers(&server.store).await;
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..10_000));
    assert_eq!(server.store.verify_audit().await.unwrap().1, []);
    let length = std::fs::metadata(beside(&server.path())).unwrap().len();
    assert!(
        length < 4 << 20,
        "the journal is written again from its start: {length} bytes"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_between_two_rounds_loses_nothing() {
    let server = Server::start().await;
    let mut recorded = 0;
    for _ in 0..40 {
        for _ in 0..400 {
            record(&server.store, recorded).await.unwrap();
            recorded += 1;
        }
        let lock = server.stop_writer();
        for _ in 0..30 {
            record(&server.store, recorded).await.unwrap();
            recorded += 1;
        }
        let copy = server.copy();
        drop(lock);
        assert_whole(
            &open_as_server(&copy.path().join("t.db")).await,
            0..recorded,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_a_dead_process_left_are_moved_once_by_whoever_opens_next() {
    let server = Server::start().await;
    record(&server.store, 0).await.unwrap();
    assert_whole(&server.store, 0..1).await;
    let lock = server.stop_writer();
    for number in 1..40 {
        record(&server.store, number).await.unwrap();
    }
    let copy = server.copy();
    drop(lock);
    let path = copy.path().join("t.db");
    let command = open(&Target::Sqlite(path.clone())).await.unwrap();
    assert_whole(&command, 0..40).await;
    drop(command);
    let next = open_as_server(&path).await;
    record(&next, 40).await.unwrap();
    assert_whole(&next, 0..41).await;
    assert_whole(&server.store, 0..40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_last_line_is_not_taken_for_one() {
    let server = Server::start().await;
    let lock = server.stop_writer();
    for number in 0..20 {
        record(&server.store, number).await.unwrap();
    }
    let whole = std::fs::read(beside(&server.path())).unwrap();
    for cut in [1, 60, whole.len() / 20 - 1] {
        let copy = server.copy();
        let path = copy.path().join("t.db");
        std::fs::write(beside(&path), &whole[..whole.len() - cut]).unwrap();
        assert_whole(&open_as_server(&path).await, 0..19).await;
        let mut flipped = whole.clone();
        let place = flipped.len() - cut;
        flipped[place] ^= 1;
        let copy = server.copy();
        let path = copy.path().join("t.db");
        std::fs::write(beside(&path), flipped).unwrap();
        assert_whole(&open_as_server(&path).await, 0..19).await;
    }
    drop(lock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_another_database_means_nothing() {
    let (server, other) = (Server::start().await, Server::start().await);
    let lock = server.stop_writer();
    record(&server.store, 0).await.unwrap();
    let copy = other.copy();
    let path = copy.path().join("t.db");
    std::fs::copy(beside(&server.path()), beside(&path)).unwrap();
    assert_whole(&open_as_server(&path).await, 0..0).await;
    drop(lock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_records_through_the_database() {
    let server = Server::start().await;
    record(&server.store, 0).await.unwrap();
    let command = open(&Target::Sqlite(server.path())).await.unwrap();
    record(&command, 1).await.unwrap();
    record(&server.store, 2).await.unwrap();
    assert_eq!(numbers(&command).await.len(), 3);
    assert_eq!(numbers(&server.store).await.len(), 3);
    assert_eq!(server.store.verify_audit().await.unwrap().1, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_stuck_refuses_lines_and_loses_none() {
    let server = Server::start().await;
    let lock = server.stop_writer();
    let mut kept = 0;
    let refused = loop {
        match record(&server.store, kept).await {
            Ok(()) => kept += 1,
            Err(refused) => break refused,
        }
        assert!(kept < 100_000, "a bound");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    drop(lock);
    // The refused line had been written; its caller was told to come back.
    assert_whole(&server.store, 0..=kept).await;
    record(&server.store, kept + 1).await.unwrap();
    assert_whole(&server.store, 0..kept + 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_every_line_that_was_acknowledged_before_it() {
    let server = Server::start().await;
    for number in 0..30 {
        record(&server.store, number).await.unwrap();
    }
    let copy = server.directory.path().join("copy.db");
    back_up_sqlite(&server.path(), &copy).unwrap();
    assert_whole(&open(&Target::Sqlite(copy)).await.unwrap(), 0..30).await;
}
