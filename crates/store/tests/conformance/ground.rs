//! A fresh store on one engine, with a second way in for the hands that tamper.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokensmith_store::{Options, Store, Target, Timestamp};

/// The instant at which tests begin.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Runs each test on both engines and checks the store's invariants after it.
macro_rules! on_both_engines {
    ($(async fn $name:ident($ground:ident: &Ground) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $crate::ground::Ground;

            async fn check($ground: &Ground) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let ground = Ground::sqlite().await;
                check(&ground).await;
                ground.leave().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgresql() {
                let ground = Ground::postgresql().await;
                check(&ground).await;
                ground.leave().await;
            }
        }
    )*};
}
pub(crate) use on_both_engines;

/// A fresh store, shared by the tasks of one test.
pub(crate) struct Ground {
    pub(crate) store: Arc<Store>,
    pub(crate) target: Target,
    ids: AtomicU64,
    is_tampered: AtomicBool,
    directory: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = Target::Sqlite(directory.path().join("store.db"));
        Self::open(target, directory).await
    }

    pub(crate) async fn postgresql() -> Self {
        let target = Target::Postgres(fresh_database().await);
        Self::open(target, tempfile::tempdir().expect("a temporary directory")).await
    }

    async fn open(target: Target, directory: tempfile::TempDir) -> Self {
        let store = open(&target).await.expect("a fresh store opens");
        Self {
            store: Arc::new(store),
            target,
            ids: AtomicU64::new(1),
            is_tampered: AtomicBool::new(false),
            directory,
        }
    }

    /// A UUIDv7 that this ground has not given out before.
    pub(crate) fn uuid(&self) -> uuid::Uuid {
        let number = u128::from(self.ids.fetch_add(1, Ordering::Relaxed));
        uuid::Uuid::from_u128(0x0193_0c8e_5b7a_7000_8000_0000_0000_0000 | number)
    }

    pub(crate) fn id<T: From<uuid::Uuid>>(&self) -> T {
        self.uuid().into()
    }

    /// Runs SQL behind the store's back.
    pub(crate) async fn sql(&self, sql: &str) {
        run_sql(&self.target, sql).await;
    }

    /// From here on the store is expected to be broken.
    pub(crate) async fn tamper(&self, sql: &str) {
        self.is_tampered.store(true, Ordering::Relaxed);
        self.sql(sql).await;
    }

    /// Checks that nothing is broken, and clears up.
    pub(crate) async fn leave(self) {
        if !self.is_tampered.load(Ordering::Relaxed) {
            assert_eq!(self.store.verify().await.expect("verify answers"), []);
        }
        drop(self.store);
        drop_database(&self.target).await;
        drop(self.directory);
    }
}

pub(crate) async fn open(target: &Target) -> Result<Store, tokensmith_store::StoreError> {
    let mut options = Options::new(target.clone());
    options.connections = 8;
    // Fifty callers of a debug build on a busy machine are not the outage this limit is for.
    options.connection_wait = std::time::Duration::from_secs(30);
    Store::open(&options, NOW).await
}

/// Opens an SQLite file as a server does: with the audit journal.
pub(crate) async fn open_as_server(path: &std::path::Path) -> Store {
    let options = Options {
        keeps_journal: true,
        ..Options::new(Target::Sqlite(path.to_owned()))
    };
    Store::open(&options, NOW).await.expect("the store opens")
}

pub(crate) async fn run_sql(target: &Target, sql: &str) {
    match target {
        Target::Sqlite(path) => raw_sqlite(path).execute_batch(sql).expect("SQL"),
        Target::Postgres(url) => connect(url).await.batch_execute(sql).await.expect("SQL"),
    }
}

fn raw_sqlite(path: &PathBuf) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("the file opens");
    connection
        .busy_timeout(std::time::Duration::from_secs(5))
        .expect("a timeout");
    connection
}

pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// The address of the server that tests may make databases on.
pub(crate) fn server_url() -> String {
    std::env::var("TOKENSMITH_TEST_POSTGRES_URL").expect(
        "TOKENSMITH_TEST_POSTGRES_URL is not set: run scripts/test, which starts PostgreSQL for this suite",
    )
}

/// Makes an empty database and returns its address.
pub(crate) async fn fresh_database() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let url = server_url();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("conformance_{}_{number}", std::process::id());
    let server = connect(&url).await;
    let drop_old = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    server.execute(&drop_old, &[]).await.expect("DROP DATABASE");
    let create = format!("CREATE DATABASE {name}");
    server.execute(&create, &[]).await.expect("CREATE DATABASE");
    let (server, _) = url.rsplit_once('/').expect("an address with a database");
    format!("{server}/{name}")
}

pub(crate) async fn drop_database(target: &Target) {
    if let Target::Postgres(url) = target {
        let (_, name) = url.rsplit_once('/').expect("an address with a database");
        let server = connect(&server_url()).await;
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        server.execute(&sql, &[]).await.expect("DROP DATABASE");
    }
}
