//! What an operation sees of the database: statements with `$n` parameters, rows by column number, audit lines.
//!
//! SQL is written once. Parameters are `$1, $2, …` and must first appear in that order, because SQLite numbers
//! named parameters by first appearance (checked at every prepare in debug builds). Column types are `BIGINT`,
//! `TEXT` and `BYTEA` only, so that a value means the same on both engines.

use crate::{AuditContext, AuditEvent, StoreError, audit::AuditLine, engine};

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A `BIGINT`.
    Int(i64),
    /// A `TEXT`.
    Text(&'a str),
    /// A `BYTEA`.
    Bytes(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<crate::Timestamp> for Value<'_> {
    fn from(value: crate::Timestamp) -> Self {
        Self::Int(value.as_millis())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, T> From<Option<T>> for Value<'a>
where
    Value<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// PostgreSQL keeps no NUL in a text, so on both engines it becomes U+FFFD. What parses requests refuses it long
/// before; here it only must not turn a bad value into a failure.
pub(crate) fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Builds the parameters of a statement: `values![id, &name, now]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::tx::Value::from($value)),*] };
}
pub(crate) use values;

/// One row of an answer; columns are read by position, and a column of another type is corruption.
pub struct Row<'a>(pub(crate) RowKind<'a>);

pub(crate) enum RowKind<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// A `BIGINT` column.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.take(column)
    }

    /// A `BIGINT` column that may be NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.take(column)
    }

    /// A `BIGINT` column that holds 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        self.int(column).map(|value| value != 0)
    }

    /// A `BIGINT` column that holds milliseconds since the Unix epoch.
    pub fn time(&self, column: usize) -> Result<crate::Timestamp, StoreError> {
        self.int(column).map(crate::Timestamp::from_millis)
    }

    /// Like [`Row::time`], but NULL is allowed.
    pub fn opt_time(&self, column: usize) -> Result<Option<crate::Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(crate::Timestamp::from_millis))
    }

    /// A `TEXT` column.
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.take(column)
    }

    /// A `TEXT` column that may be NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.take(column)
    }

    /// A `BYTEA` column.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.take(column)
    }

    /// A `BYTEA` column that may be NULL.
    pub fn opt_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.take(column)
    }

    /// A `TEXT` column that holds JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(StoreError::corrupt)
    }

    /// A `TEXT` column that holds one of a type's words.
    pub fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        column: usize,
    ) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(StoreError::corrupt)
    }

    /// Like [`Row::word`], but NULL is allowed.
    pub fn opt_word<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        column: usize,
    ) -> Result<Option<T>, StoreError> {
        let word = self.opt_text(column)?;
        word.map(|word| word.parse().map_err(StoreError::corrupt))
            .transpose()
    }

    fn take<T>(&self, column: usize) -> Result<T, StoreError>
    where
        T: rusqlite::types::FromSql + for<'r> tokio_postgres::types::FromSql<'r>,
    {
        match &self.0 {
            RowKind::Sqlite(row) => row.get(column).map_err(StoreError::corrupt),
            RowKind::Postgres(row) => row.try_get(column).map_err(StoreError::corrupt),
        }
    }
}

/// A record that can be read from a row.
pub(crate) trait FromRow: Sized + Send {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError>;
}

/// The texts of [`Tx::change_one`].
pub(crate) struct ChangeOne {
    pub(crate) change: &'static str,
    pub(crate) change_returning: &'static str,
    pub(crate) read: &'static str,
}

/// A transaction under way. It is only ever lent to an operation.
pub struct Tx<'a> {
    pub(crate) engine: TxEngine<'a>,
    pub(crate) audit: Vec<AuditLine>,
}

pub(crate) enum TxEngine<'a> {
    Sqlite(&'a mut rusqlite::Connection),
    Postgres(engine::postgres::PgTx<'a>),
}

impl Tx<'_> {
    /// Runs a statement and says how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        match &mut self.engine {
            TxEngine::Sqlite(connection) => engine::sqlite::execute(connection, sql, values),
            TxEngine::Postgres(tx) => tx.execute(sql, values).await,
        }
    }

    /// Whether a statement changed exactly the one row it was about.
    pub(crate) async fn won(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<bool, StoreError> {
        self.execute(sql, values).await.map(|rows| rows == 1)
    }

    /// All rows of an answer.
    pub(crate) async fn all<T: FromRow>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        match &mut self.engine {
            TxEngine::Sqlite(connection) => engine::sqlite::query(connection, sql, values),
            TxEngine::Postgres(tx) => tx.query(sql, values).await,
        }
    }

    /// The first row of an answer, if there is one.
    pub(crate) async fn first<T: FromRow>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Changes at most one row, found by `key`, and reads it back. SQLite makes a temporary table for `RETURNING`,
    /// which takes longer than looking the row up again; on PostgreSQL it saves a round trip.
    pub(crate) async fn change_one<T: FromRow>(
        &mut self,
        sql: &ChangeOne,
        values: &[Value<'_>],
        key: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        match &mut self.engine {
            TxEngine::Sqlite(connection) => {
                let changed = engine::sqlite::execute(connection, sql.change, values)?;
                let read = || engine::sqlite::query(connection, sql.read, key);
                let rows = if changed == 1 { read()? } else { Vec::new() };
                Ok(rows.into_iter().next())
            }
            TxEngine::Postgres(_) => self.first(sql.change_returning, values).await,
        }
    }

    /// The one of two texts that this engine reads, where one text cannot serve both.
    pub(crate) fn by_engine(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.engine {
            TxEngine::Sqlite(_) => sqlite,
            TxEngine::Postgres(_) => postgres,
        }
    }

    pub(crate) fn append_line(&mut self, context: &AuditContext, event: &AuditEvent) {
        self.audit.push(AuditLine::new(context, event));
    }

    /// Adds a line to the audit log. It is written at the end of this transaction, or not at all.
    pub(crate) fn audit(&mut self, context: &AuditContext, event: AuditEvent) {
        self.audit.push(AuditLine::new(context, &event));
    }
}

impl FromRow for i64 {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.int(0)
    }
}

impl FromRow for Option<String> {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.opt_text(0)
    }
}

impl FromRow for String {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.text(0)
    }
}
