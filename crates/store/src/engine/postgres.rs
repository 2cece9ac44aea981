//! PostgreSQL: a pool of connections, each operation one transaction. `BEGIN` travels with the first statement and
//! the last audit line travels with `COMMIT`, so a one-statement operation costs two round trips.

use std::{sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};

use bytes::BytesMut;
use deadpool_postgres::{Object, Pool, Runtime};
use futures_util::future::{try_join, try_join3};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::{
    Durability, Operation, Options, Row, StoreError, Tx, Value,
    audit::{self, AuditLine, ChainHead},
    tx::{FromRow, RowKind, TxEngine, without_nul},
};

/// A collision is retried this often before the caller hears of it.
const ATTEMPTS: usize = 4;
/// How long a read or an operation may take with everything it waits for: a server that hangs looks like this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long one statement may take before the server ends it.
const STATEMENT_TIMEOUT: &str = "5s";

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => return Ok(IsNull::Yes),
            Value::Int(int) => out.extend_from_slice(&int.to_be_bytes()),
            Value::Text(text) => out.extend_from_slice(without_nul(text).as_bytes()),
            Value::Bytes(bytes) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::TEXT | Type::VARCHAR | Type::BYTEA)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

/// The pool, and the audit streams its transactions append to.
pub(crate) struct Postgres {
    pool: Pool,
    streams: AtomicUsize,
}

impl Postgres {
    pub(crate) async fn connect(url: &str, options: &Options) -> Result<Self, StoreError> {
        let mut config = deadpool_postgres::Config::new();
        config.url = Some(url.to_owned());
        config.connect_timeout = Some(Duration::from_secs(5));
        config.keepalives = Some(true);
        config.keepalives_idle = Some(Duration::from_secs(30));
        config.application_name = Some("tokensmith".to_owned());
        // The last one frees the locks of a node that was stopped in the middle of a transaction.
        config.options = Some(format!(
            "-c statement_timeout={STATEMENT_TIMEOUT} -c lock_timeout=4s -c idle_in_transaction_session_timeout=10s"
        ));
        config.pool = Some(deadpool_postgres::PoolConfig {
            max_size: options.connections.max(2),
            timeouts: deadpool_postgres::Timeouts {
                wait: Some(options.connection_wait),
                create: Some(Duration::from_secs(5)),
                recycle: Some(Duration::from_secs(2)),
            },
            ..Default::default()
        });
        let pool = config
            .create_pool(Some(Runtime::Tokio1), tokio_postgres::NoTls)
            .map_err(|error| {
                StoreError::Unavailable(format!("the database address is not usable: {error}"))
            })?;
        // Nodes start at different streams, so that they rarely wait for one another's audit chain.
        let start = std::process::id() as usize;
        Ok(Self {
            pool,
            streams: AtomicUsize::new(start),
        })
    }

    /// A connection of the pool.
    pub(crate) async fn connection(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(StoreError::unavailable)
    }

    pub(crate) async fn query<T: FromRow>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let connection = self.connection().await?;
        let answer = within_limit(query(&connection, sql, values)).await;
        if !matches!(answer, Err(StoreError::Unavailable(_))) {
            return answer;
        }
        // It may hang or still owe an answer, so it leaves the pool. If it was dead already, another one may live.
        let connection = Object::take(connection);
        if !connection.is_closed() {
            return answer;
        }
        within_limit(query(&self.connection().await?, sql, values)).await
    }

    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
        within_limit(self.attempts(operation)).await
    }

    async fn attempts<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
        for attempt in 1.. {
            match self.attempt(&operation).await {
                Err(StoreError::Contended(reason)) if attempt < ATTEMPTS => {
                    tracing::debug!(attempt, reason, "a transaction collided and is run again");
                }
                outcome => return outcome,
            }
        }
        Err(StoreError::Contended("gave up".into()))
    }

    async fn attempt<O: Operation>(&self, operation: &O) -> Result<O::Outcome, StoreError> {
        let connection = self.connection().await?;
        let mut guard = Unfinished(Some(connection));
        let outcome = self.run(guard.connection()?, operation).await;
        // Only a transaction that ended by itself leaves its connection fit for the next caller.
        guard.finished(&outcome);
        outcome
    }

    async fn run<O: Operation>(
        &self,
        connection: &Object,
        operation: &O,
    ) -> Result<O::Outcome, StoreError> {
        let engine = PgTx {
            connection,
            begun: false,
            commit_was_sent: false,
            durability: operation.durability(),
        };
        let mut tx = Tx {
            engine: TxEngine::Postgres(engine),
            audit: Vec::new(),
        };
        let outcome = operation.run(&mut tx).await;
        let audit = std::mem::take(&mut tx.audit);
        let TxEngine::Postgres(mut engine) = tx.engine else {
            return outcome;
        };
        match outcome {
            Ok(outcome) => {
                let stream = self.streams.fetch_add(1, Ordering::Relaxed) as i64 % audit::STREAMS;
                match engine.commit(&audit, stream).await {
                    Ok(()) => Ok(outcome),
                    Err(error) => Err(engine.roll_back_after(error).await),
                }
            }
            Err(error) => Err(engine.roll_back_after(error).await),
        }
    }
}

async fn within_limit<T>(
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::unavailable("the database did not answer")),
    }
}

/// A connection whose transaction may still be open: dropped (the caller went away), it leaves the pool.
struct Unfinished(Option<Object>);

impl Unfinished {
    fn connection(&self) -> Result<&Object, StoreError> {
        self.0
            .as_ref()
            .ok_or_else(|| StoreError::unavailable("the connection was given back"))
    }

    fn finished<T>(&mut self, outcome: &Result<T, StoreError>) {
        if !matches!(outcome, Err(StoreError::Unavailable(_))) {
            drop(self.0.take());
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

/// One transaction on a pooled connection.
pub(crate) struct PgTx<'a> {
    connection: &'a Object,
    begun: bool,
    commit_was_sent: bool,
    durability: Durability,
}

impl PgTx<'_> {
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        self.send(sql, values, None).await
    }

    /// Sends a statement, `BEGIN` before it if it is the first and `then` after it if there is one, and waits once
    /// for all the answers. If the statement fails, a `COMMIT` that follows it rolls back.
    async fn send(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        then: Option<&'static str>,
    ) -> Result<u64, StoreError> {
        let statement = self.connection.prepare_cached(sql).await?;
        let before = batch(self.connection, self.begin());
        let refs = as_params(values);
        self.commit_was_sent |= then.is_some();
        let rows = self.connection.execute(&statement, &refs);
        let ((), rows, ()) = try_join3(before, rows, batch(self.connection, then)).await?;
        Ok(rows)
    }

    pub(crate) async fn query<T: FromRow>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let statement = self.connection.prepare_cached(sql).await?;
        let before = batch(self.connection, self.begin());
        let refs = as_params(values);
        let ((), rows) = try_join(before, self.connection.query(&statement, &refs)).await?;
        read_all(&rows)
    }

    /// The opening words, the first time.
    fn begin(&mut self) -> Option<&'static str> {
        (!std::mem::replace(&mut self.begun, true)).then_some(match self.durability {
            Durability::PowerSafe => "BEGIN",
            Durability::CrashSafe => "BEGIN; SET LOCAL synchronous_commit = off",
        })
    }

    /// Appends the audit lines and commits; the last line and `COMMIT` travel together.
    async fn commit(&mut self, audit: &[AuditLine], stream: i64) -> Result<(), StoreError> {
        let genesis = ChainHead::genesis(stream);
        let mut lines = audit.iter().peekable();
        while let Some(line) = lines.next() {
            let then = lines.peek().is_none().then_some("COMMIT");
            let row = audit::row_postgres(&genesis, line);
            self.send(audit::APPEND_POSTGRES, &row, then).await?;
        }
        if audit.is_empty() && self.begun {
            self.commit_was_sent = true;
            batch(self.connection, Some("COMMIT")).await?;
        }
        Ok(())
    }

    async fn roll_back_after(&mut self, error: StoreError) -> StoreError {
        match error {
            // Nothing was committed, and the server rolls back when it notices: it may be tried on another connection.
            StoreError::Unavailable(reason)
                if self.connection.is_closed() && !self.commit_was_sent =>
            {
                StoreError::Contended(reason)
            }
            // The connection leaves the pool. The answer to a commit may have been lost.
            StoreError::Unavailable(_) => error,
            _ => {
                if self.begun {
                    let _ = self.connection.batch_execute("ROLLBACK").await;
                }
                error
            }
        }
    }
}

async fn batch(
    connection: &Object,
    sql: Option<&'static str>,
) -> Result<(), tokio_postgres::Error> {
    match sql {
        Some(sql) => connection.batch_execute(sql).await,
        None => Ok(()),
    }
}

async fn query<T: FromRow>(
    connection: &Object,
    sql: &'static str,
    values: &[Value<'_>],
) -> Result<Vec<T>, StoreError> {
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &as_params(values)).await?;
    read_all(&rows)
}

fn read_all<T: FromRow>(rows: &[tokio_postgres::Row]) -> Result<Vec<T>, StoreError> {
    rows.iter()
        .map(|row| T::from_row(&Row(RowKind::Postgres(row))))
        .collect()
}

fn as_params<'v>(values: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}
