//! The store as its callers see it: open, read, write, check, close.

use std::{path::PathBuf, time::Duration};

use crate::{
    Durability, Operation, StoreError, Timestamp, Value,
    engine::{Checkpointer, Writer, postgres::Postgres, sqlite},
    schema,
    tx::FromRow,
};

/// Where the records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by `postgres://` address.
    Postgres(String),
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the records are kept.
    pub target: Target,
    /// SQLite: connections that read. PostgreSQL: connections in the pool.
    pub connections: usize,
    /// PostgreSQL: how long a caller waits for a free connection before it is told to come back.
    pub connection_wait: Duration,
    /// Fsync even what the operations declare crash-safe.
    pub everything_power_safe: bool,
}

impl Options {
    /// Usual settings for a target: 4 reading connections on SQLite, 16 pooled ones on PostgreSQL.
    pub fn new(target: Target) -> Self {
        let connections = if matches!(target, Target::Sqlite(_)) {
            4
        } else {
            16
        };
        Self {
            target,
            connections,
            connection_wait: Duration::from_secs(1),
            everything_power_safe: false,
        }
    }
}

/// An open store. Share it by reference or `Arc`; dropping it finishes the queued writes first.
pub struct Store {
    engine: Engine,
    everything_power_safe: bool,
}

enum Engine {
    Sqlite {
        readers: sqlite::Readers,
        writer: Writer,
    },
    Postgres(Postgres),
}

impl Store {
    /// Opens the store and brings its schema up to date.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be reached, `Corrupt` if it is newer than this program or not ours.
    pub async fn open(options: &Options, now: Timestamp) -> Result<Self, StoreError> {
        let engine = match &options.target {
            Target::Sqlite(path) => {
                let mut connection = sqlite::open(path)?;
                schema::migrate_sqlite(&mut connection, now)?;
                let checkpointer = Checkpointer::start(sqlite::open(path)?)?;
                let readers = sqlite::Readers::open(path, options.connections)?;
                Engine::Sqlite {
                    readers,
                    writer: Writer::start(connection, checkpointer)?,
                }
            }
            Target::Postgres(url) => {
                let postgres = Postgres::connect(url, options).await?;
                schema::migrate_postgres(&postgres, now).await?;
                Engine::Postgres(postgres)
            }
        };
        Ok(Self {
            engine,
            everything_power_safe: options.everything_power_safe,
        })
    }

    /// Runs an operation as one transaction and answers once it is as durable as it asks to be.
    ///
    /// # Errors
    /// `Unavailable` (nothing may be assumed about a commit whose answer was lost), `Contended`, `Corrupt`.
    pub async fn write<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
        if self.everything_power_safe {
            return self.run(PowerSafe(operation)).await;
        }
        self.run(operation).await
    }

    async fn run<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
        match &self.engine {
            Engine::Sqlite { writer, .. } => writer.write(operation).await,
            Engine::Postgres(postgres) => postgres.write(operation).await,
        }
    }

    /// All rows of a read.
    pub(crate) async fn all<T: FromRow>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        match &self.engine {
            Engine::Sqlite { readers, .. } => {
                readers.with(|connection| sqlite::query(connection, sql, values))
            }
            Engine::Postgres(postgres) => postgres.query(sql, values).await,
        }
    }

    /// The first row of a read, if there is one.
    pub(crate) async fn first<T: FromRow>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// The one of two texts that this engine reads, where one text cannot serve both.
    pub(crate) fn by_engine(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.engine {
            Engine::Sqlite { .. } => sqlite,
            Engine::Postgres(_) => postgres,
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Engine::Sqlite { writer, .. } = &self.engine
            && !writer.is_running()
        {
            return Err(StoreError::unavailable("the writer has stopped"));
        }
        self.first::<i64>("SELECT epoch FROM configuration_epoch", &[])
            .await
            .map(drop)
    }

    /// The engine's name, for banners and health answers: `sqlite` or `postgresql`.
    pub fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres(_) => "postgresql",
        }
    }
}

struct PowerSafe<O>(O);

impl<O: Operation> Operation for PowerSafe<O> {
    type Outcome = O::Outcome;

    fn durability(&self) -> Durability {
        Durability::PowerSafe
    }

    async fn run(&self, tx: &mut crate::Tx<'_>) -> Result<O::Outcome, StoreError> {
        self.0.run(tx).await
    }
}
