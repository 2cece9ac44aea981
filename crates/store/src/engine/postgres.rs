//! PostgreSQL: a pool of connections, each operation one transaction. `BEGIN` travels with the first statement and
//! the audit lines travel with `COMMIT`, so a one-statement operation costs two round trips.

use std::{sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};

use bytes::BytesMut;
use deadpool_postgres::{Object, Pool, Runtime};
use futures_util::future::try_join;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::{
    Durability, Operation, Row, StoreError, Tx, Value,
    audit::{self, AuditLine},
    tx::{FromRow, RowKind, TxEngine},
};

/// A collision is retried this often before the caller hears of it.
const ATTEMPTS: usize = 4;
/// How long a caller waits for a free connection.
const POOL_WAIT: Duration = Duration::from_secs(1);
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
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
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
    pub(crate) async fn connect(url: &str, connections: usize) -> Result<Self, StoreError> {
        let mut config = deadpool_postgres::Config::new();
        config.url = Some(url.to_owned());
        config.connect_timeout = Some(Duration::from_secs(5));
        config.keepalives = Some(true);
        config.keepalives_idle = Some(Duration::from_secs(30));
        config.application_name = Some("tokensmith".to_owned());
        config.options = Some(format!(
            "-c statement_timeout={STATEMENT_TIMEOUT} -c lock_timeout=4s"
        ));
        config.pool = Some(deadpool_postgres::PoolConfig {
            max_size: connections.max(2),
            timeouts: deadpool_postgres::Timeouts {
                wait: Some(POOL_WAIT),
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
        query(&self.connection().await?, sql, values).await
    }

    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
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
                engine.commit(&audit, stream).await.map(|()| outcome)
            }
            Err(error) => {
                engine.roll_back().await;
                Err(error)
            }
        }
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
    durability: Durability,
}

impl PgTx<'_> {
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let begin = self.begin();
        let statement = self.connection.prepare_cached(sql).await?;
        let refs = as_params(values);
        let rows = self.connection.execute(&statement, &refs);
        let Some(begin) = begin else {
            return rows.await.map_err(StoreError::from);
        };
        try_join(self.connection.batch_execute(begin), rows)
            .await
            .map(|((), rows)| rows)
            .map_err(StoreError::from)
    }

    pub(crate) async fn query<T: FromRow>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let begin = self.begin();
        let Some(begin) = begin else {
            return query(self.connection, sql, values).await;
        };
        let begun = async {
            self.connection
                .batch_execute(begin)
                .await
                .map_err(StoreError::from)
        };
        self.connection.prepare_cached(sql).await?;
        try_join(begun, query(self.connection, sql, values))
            .await
            .map(|((), rows)| rows)
    }

    /// The opening words, the first time.
    fn begin(&mut self) -> Option<&'static str> {
        (!std::mem::replace(&mut self.begun, true)).then_some(match self.durability {
            Durability::PowerSafe => "BEGIN",
            Durability::CrashSafe => "BEGIN; SET LOCAL synchronous_commit = off",
        })
    }

    async fn commit(&mut self, audit: &[AuditLine], stream: i64) -> Result<(), StoreError> {
        for line in audit {
            audit::append_postgres(self, stream, line).await?;
        }
        if !self.begun {
            return Ok(());
        }
        // A COMMIT of a failed transaction answers ROLLBACK without an error, but then a statement failed before.
        self.connection
            .batch_execute("COMMIT")
            .await
            .map_err(|error| {
                StoreError::Unavailable(format!("the result of a commit is unknown: {error}"))
            })
    }

    async fn roll_back(&mut self) {
        if self.begun {
            // Failing to roll back closes the connection, which rolls back.
            let _ = self.connection.batch_execute("ROLLBACK").await;
        }
    }
}

async fn query<T: FromRow>(
    connection: &Object,
    sql: &'static str,
    values: &[Value<'_>],
) -> Result<Vec<T>, StoreError> {
    let statement = connection.prepare_cached(sql).await?;
    let rows = connection.query(&statement, &as_params(values)).await?;
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
