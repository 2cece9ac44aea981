//! The store as its callers see it: open, read, write, check, close.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    AppendAudit, AuditContext, AuditEvent, Durability, Operation, StoreError, Timestamp, Tx, Value,
    audit::AuditLine,
    engine::{
        Appended, BACKLOG, Checkpointer, Journal, Writer, postgres::Postgres, sqlite, unsettled,
    },
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
    /// SQLite: whether this process keeps the audit journal while it runs, as a server does. One that does not only
    /// moves what a process that died left in it.
    pub keeps_journal: bool,
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
            keeps_journal: false,
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
        journal: Arc<Journal>,
        path: PathBuf,
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
                let journal = open_journal(options, path, &connection)?;
                Engine::Sqlite {
                    readers,
                    writer: Writer::start(connection, checkpointer, journal.clone())?,
                    journal,
                    path: path.clone(),
                }
            }
            Target::Postgres(url) => {
                let postgres = Postgres::connect(url, options).await?;
                schema::migrate_postgres(&postgres, now).await?;
                Engine::Postgres(postgres)
            }
        };
        let store = Self {
            engine,
            everything_power_safe: options.everything_power_safe,
        };
        store.settle_own_journal().await?;
        if let Engine::Sqlite { journal, .. } = &store.engine
            && !options.keeps_journal
        {
            journal.close();
        }
        Ok(store)
    }

    /// Records an event that changes nothing else: the issue of a stateless token, or a refusal. When this returns the
    /// line is crash-safe (or power-safe, where everything is).
    ///
    /// # Errors
    /// `Unavailable`: then the answer must not be given either.
    pub async fn record(&self, context: AuditContext, event: AuditEvent) -> Result<(), StoreError> {
        if let Engine::Sqlite {
            journal, writer, ..
        } = &self.engine
            && !self.everything_power_safe
        {
            match journal.append(AuditLine::new(&context, &event))? {
                Appended::Kept if journal.backlog() > BACKLOG => return self.run(Settle).await,
                Appended::Kept => return Ok(()),
                Appended::First => return writer.nudge(),
                Appended::NotHere => {}
            }
        }
        let durability = Durability::CrashSafe;
        let append = AppendAudit {
            context,
            event,
            durability,
        };
        Box::pin(self.write(append)).await
    }

    /// Waits until every line that was recorded is in the chain, so that a read sees it.
    pub(crate) async fn settle_journal(&self) -> Result<(), StoreError> {
        self.settle_own_journal().await?;
        match &self.engine {
            Engine::Sqlite {
                readers,
                journal,
                path,
                ..
            } if !journal.is_held() => settle_foreign_journal(readers, path).await,
            _ => Ok(()),
        }
    }

    async fn settle_own_journal(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite { journal, .. } if journal.backlog() > 0 => self.run(Settle).await,
            _ => Ok(()),
        }
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
            // Boxed: the driver's futures are large, and every handler's would hold one of them.
            Engine::Postgres(postgres) => Box::pin(postgres.write(operation)).await,
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
            Engine::Postgres(postgres) => Box::pin(postgres.query(sql, values)).await,
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

/// The journal of an SQLite file. A server waits a moment for a command that is just moving a dead server's lines.
fn open_journal(
    options: &Options,
    path: &std::path::Path,
    connection: &rusqlite::Connection,
) -> Result<Arc<Journal>, StoreError> {
    const TRIES: u32 = 20;
    let mut journal = Journal::open(path, connection)?;
    for _ in 1..TRIES {
        if journal.is_held() || !options.keeps_journal {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        journal = Journal::open(path, connection)?;
    }
    Ok(Arc::new(journal))
}

/// Waits for the process that has the journal to move what is in it now, a second at most.
async fn settle_foreign_journal(
    readers: &sqlite::Readers,
    path: &std::path::Path,
) -> Result<(), StoreError> {
    const TRIES: u32 = 200;
    let Some(end) = readers.with(|connection| unsettled(path, connection))? else {
        return Ok(());
    };
    for _ in 0..TRIES {
        if readers.with(|connection| end.is_reached(connection))? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Nothing but a commit, which moves the journal's lines.
struct Settle;

impl Operation for Settle {
    type Outcome = ();

    fn durability(&self) -> Durability {
        Durability::CrashSafe
    }

    async fn run(&self, _: &mut Tx<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}
