//! SQLite: how statements run, how a connection is set up, and the pool of reading connections.
//!
//! A read runs on the calling thread: a point lookup in the page cache takes 5 to 10 µs, less than handing it to
//! another thread would (docs/decisions/0003). Long listings are paged by their callers.

use std::{borrow::Cow, path::Path};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, types::ToSqlOutput};

use crate::{
    Row, StoreError, Value,
    tx::{FromRow, RowKind, without_nul},
};

/// Statements kept prepared on each connection.
const STATEMENT_CACHE: usize = 256;

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef;
        if let Value::Text(text) = self
            && let Cow::Owned(text) = without_nul(text)
        {
            return Ok(ToSqlOutput::Owned(text.into()));
        }
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(int) => ValueRef::Integer(*int),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(crate) fn execute(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    Ok(statement.raw_execute()? as u64)
}

pub(crate) fn query<T: FromRow>(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let mut rows = statement.raw_query();
    let mut answer = Vec::new();
    while let Some(row) = rows.next()? {
        answer.push(T::from_row(&Row(RowKind::Sqlite(row)))?);
    }
    Ok(answer)
}

fn bind(
    statement: &mut rusqlite::CachedStatement<'_>,
    values: &[Value<'_>],
) -> Result<(), StoreError> {
    debug_assert_eq!(
        statement.parameter_count(),
        values.len(),
        "as many values as parameters"
    );
    for (index, value) in values.iter().enumerate() {
        debug_assert_eq!(
            statement.parameter_name(index + 1),
            Some(format!("${}", index + 1).as_str()),
            "parameters must first appear in order"
        );
        statement.raw_bind_parameter(index + 1, value)?;
    }
    Ok(())
}

/// Opens the file, creating it readable by its owner alone.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    create_private(path)?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    crate::schema::refuse_foreign_file(&connection)?;
    enter_wal(&connection)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    Ok(connection)
}

/// Two first starts at once may meet in this switch, for which SQLite does not wait by itself.
fn enter_wal(connection: &Connection) -> Result<(), StoreError> {
    const TRIES: u32 = 100;
    for _ in 1..TRIES {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            done => return done.map_err(StoreError::from),
        }
    }
    connection
        .execute_batch("PRAGMA journal_mode = WAL")
        .map_err(StoreError::from)
}

#[cfg(unix)]
fn create_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| {
            StoreError::Unavailable(format!("cannot open {}: {error}", path.display()))
        })
}

#[cfg(not(unix))]
fn create_private(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// A fixed set of connections that only read.
pub(crate) struct Readers {
    slots: Vec<Mutex<Connection>>,
    next: std::sync::atomic::AtomicUsize,
}

impl Readers {
    pub(crate) fn open(path: &Path, count: usize) -> Result<Self, StoreError> {
        let slots = (0..count.max(1))
            .map(|_| {
                let connection = open(path)?;
                connection.execute_batch("PRAGMA query_only = ON;")?;
                Ok(Mutex::new(connection))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Self {
            slots,
            next: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// Runs `read` on a connection that is free, or waits for one.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> T) -> T {
        let free = self.slots.iter().find_map(Mutex::try_lock);
        let connection = free.unwrap_or_else(|| {
            let turn = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.slots[turn % self.slots.len()].lock()
        });
        read(&connection)
    }
}
