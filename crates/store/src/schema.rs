//! Migrations: forward only, each in one transaction together with the record that it ran, started under a lock,
//! resumed where they stopped, and refused when the database is newer than this program (docs/decisions/0004).

use rusqlite::Connection;

use crate::{
    Row, StoreError, Timestamp,
    engine::{postgres::Postgres, sqlite},
    tx::{FromRow, RowKind, Value, values},
};

/// Every migration in order. Its place in the list is its number; a landed one is never edited.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "first_light",
        include_str!("migrations/V1__first_light.sql"),
    ),
    (
        "token_service",
        include_str!("migrations/V2__token_service.sql"),
    ),
    ("people", include_str!("migrations/V3__people.sql")),
];

/// The schema this program works with.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// "tokn" in ASCII: marks our SQLite files, and is the key of PostgreSQL's advisory lock for migrations.
const APPLICATION: i64 = 0x746f_6b6e;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, text_hash BYTEA NOT NULL, applied_at BIGINT NOT NULL)";
const APPLIED: &str = "SELECT version, text_hash FROM schema_migrations ORDER BY version";
const RECORD: &str =
    "INSERT INTO schema_migrations (version, name, text_hash, applied_at) VALUES ($1, $2, $3, $4)";

struct Applied {
    version: i64,
    text_hash: Vec<u8>,
}

impl FromRow for Applied {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            version: row.int(0)?,
            text_hash: row.bytes(1)?,
        })
    }
}

/// The number of the next migration to run, after checking that what ran is what this program knows.
fn next(applied: &[Applied]) -> Result<Option<usize>, StoreError> {
    if let Some(newest) = applied
        .last()
        .filter(|newest| newest.version > SCHEMA_VERSION)
    {
        return Err(StoreError::Corrupt(format!(
            "the database has schema version {}, this program knows {SCHEMA_VERSION}: use a newer tokensmith",
            newest.version
        )));
    }
    for (index, row) in applied.iter().enumerate() {
        let (name, text) = MIGRATIONS[index];
        if row.version != index as i64 + 1 || row.text_hash != hash(text) {
            return Err(StoreError::Corrupt(format!(
                "migration {} ({name}) is not the one that ran here",
                index + 1
            )));
        }
    }
    Ok((applied.len() < MIGRATIONS.len()).then_some(applied.len()))
}

fn hash(text: &str) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes())
        .as_ref()
        .to_vec()
}

/// Refuses an SQLite file that another program made, before anything in it is touched.
pub(crate) fn refuse_foreign_file(connection: &Connection) -> Result<(), StoreError> {
    // One transaction, so that both answers are about the same moment: another start may be making the file ours.
    let tx = connection.unchecked_transaction()?;
    let count = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, i64>(0));
    let tables = count("SELECT count(*) FROM sqlite_schema")?;
    if tables == 0 || count("PRAGMA application_id")? == APPLICATION {
        return Ok(());
    }
    Err(StoreError::corrupt(
        "the database file was made by another program",
    ))
}

/// Brings an SQLite file to this program's schema.
pub(crate) fn migrate_sqlite(
    connection: &mut Connection,
    now: Timestamp,
) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.execute_batch(&for_sqlite(CREATE))?;
    tx.commit()?;
    while migrate_sqlite_once(connection, now)? {}
    Ok(())
}

/// Runs one migration; says whether there was one. SQLite's write lock is the lock: a second starter waits here.
fn migrate_sqlite_once(connection: &mut Connection, now: Timestamp) -> Result<bool, StoreError> {
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let Some(index) = next(&sqlite::query(&tx, APPLIED, &[])?)? else {
        return Ok(false);
    };
    let (name, text) = MIGRATIONS[index];
    tx.execute_batch(&for_sqlite(text))?;
    sqlite::execute(
        &tx,
        RECORD,
        values![index as i64 + 1, name, &hash(text), now],
    )?;
    tx.commit()?;
    Ok(true)
}

/// The same text with SQLite's names of the types, every table STRICT.
fn for_sqlite(text: &str) -> String {
    text.replace("BIGINT", "INTEGER")
        .replace("BYTEA", "BLOB")
        .replace("\n);", "\n) STRICT;")
}

/// Brings a PostgreSQL database to this program's schema.
pub(crate) async fn migrate_postgres(
    postgres: &Postgres,
    now: Timestamp,
) -> Result<(), StoreError> {
    // A connection of its own: it loses its time limits, so it must not go back to the pool.
    let client = deadpool_postgres::Object::take(postgres.connection().await?);
    client
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
        .await?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&APPLICATION])
        .await?;
    refuse_foreign_schema(&client).await?;
    client.batch_execute(CREATE).await?;
    while migrate_postgres_once(&client, now).await? {}
    client
        .execute("SELECT pg_advisory_unlock($1)", &[&APPLICATION])
        .await?;
    Ok(())
}

/// Refuses a PostgreSQL schema that holds another program's tables.
async fn refuse_foreign_schema(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    const TABLES: &str = "SELECT count(*) FILTER (WHERE tablename = 'schema_migrations'), count(*)
        FROM pg_catalog.pg_tables WHERE schemaname = current_schema()";
    let row = client.query_one(TABLES, &[]).await?;
    let (ours, all): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if ours == 0 && all > 0 {
        return Err(StoreError::corrupt(
            "the database schema holds the tables of another program",
        ));
    }
    Ok(())
}

async fn migrate_postgres_once(
    client: &tokio_postgres::Client,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = client.query(APPLIED, &[]).await?;
    let applied = rows
        .iter()
        .map(|row| Applied::from_row(&Row(RowKind::Postgres(row))))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(index) = next(&applied)? else {
        return Ok(false);
    };
    let (name, text) = MIGRATIONS[index];
    client.batch_execute(&format!("BEGIN; {text}")).await?;
    let hash = hash(text);
    let record: [Value<'_>; 4] = [
        (index as i64 + 1).into(),
        name.into(),
        (&hash).into(),
        now.into(),
    ];
    client
        .execute(RECORD, &[&record[0], &record[1], &record[2], &record[3]])
        .await?;
    client.batch_execute("COMMIT").await?;
    Ok(true)
}
