//! SQLite alone, through prepared statements: a unit of work is one update and one audit insert, `batch` units are one
//! commit, every commit is fsynced (WAL, `synchronous=FULL`). What a store with group commit could reach at most.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::{Connection, params};

const ROWS: i64 = 10_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Database file; made anew.
    #[arg(long)]
    file: PathBuf,
    /// Units of work a commit.
    #[arg(long, default_value_t = 32)]
    batch: i64,
    /// Seconds to run.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let rate = units_a_second(
        &arguments.file,
        arguments.batch,
        Duration::from_secs(arguments.seconds),
    )?;
    println!("{rate:.0}");
    Ok(())
}

/// Durable units of work a second.
pub(crate) fn units_a_second(file: &Path, batch: i64, time: Duration) -> Result<f64> {
    let mut connection = open(file)?;
    let (started, mut units) = (Instant::now(), 0);
    while started.elapsed() < time {
        let transaction = connection.transaction()?;
        for _ in 0..batch {
            work(&transaction, units)?;
            units += 1;
        }
        transaction.commit()?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    Ok(units as f64 / started.elapsed().as_secs_f64())
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE family(id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, used_at INTEGER NOT NULL);
         CREATE TABLE audit(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, event TEXT NOT NULL, line TEXT NOT NULL, hash BLOB NOT NULL);",
    )?;
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) INSERT INTO family SELECT i, 0, 0 FROM n",
        [ROWS],
    )?;
    Ok(connection)
}

fn work(connection: &Connection, unit: i64) -> Result<()> {
    let line = r#"{"event":"token.rotated","client":"chat-api-service","subject":"01890000-0000-7000-8000-000000000000","ip":"127.0.0.1"}"#;
    connection
        .prepare_cached(
            "UPDATE family SET generation = generation + 1, used_at = ?2 WHERE id = ?1",
        )?
        .execute(params![unit % ROWS, unit])?;
    connection
        .prepare_cached(
            "INSERT INTO audit(at, event, line, hash) VALUES (?1, 'token.rotated', ?2, ?3)",
        )?
        .execute(params![unit, line, [7_u8; 32]])?;
    Ok(())
}
