//! Where messages live: an embedded SQLite file or a server of MongoDB's protocol.

use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, path::Path};

use futures_util::TryStreamExt;
use mongodb::{Client, Collection, IndexModel, bson::doc};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS messages (group_id TEXT NOT NULL, id TEXT NOT NULL,
        message TEXT NOT NULL, PRIMARY KEY (group_id, id)) WITHOUT ROWID;";
const INSERT: &str = "INSERT INTO messages VALUES (?1, ?2, ?3)";
const NEWEST: &str = "SELECT message FROM messages WHERE group_id = ?1 AND id < ?2
    ORDER BY id DESC LIMIT ?3";

/// A stored message; ids are UUIDv7, so they sort by time.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) group_id: String,
    pub(crate) org_id: String,
    pub(crate) sender_id: String,
    pub(crate) content: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

/// How many messages, of those with an id below `before`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Page {
    pub(crate) limit: u32,
    pub(crate) before: Uuid,
}

impl Default for Page {
    /// No UUID sorts after the highest.
    fn default() -> Self {
        let (limit, before) = (50, Uuid::max());
        Self { limit, before }
    }
}

#[derive(Clone)]
pub(crate) enum Store {
    Sqlite(Arc<Mutex<Connection>>),
    Mongo(Collection<Message>),
}

impl Store {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        path.parent().map(fs::create_dir_all).transpose()?;
        let file = Connection::open(path)?;
        file.execute_batch(SCHEMA)?;
        Ok(Self::Sqlite(Arc::new(Mutex::new(file))))
    }

    /// Uses the database named in the URL, else `chat`.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = Client::with_uri_str(url).await?;
        let database = client
            .default_database()
            .unwrap_or_else(|| client.database("chat"));
        let messages = database.collection("messages");
        let index = IndexModel::builder()
            .keys(doc! {"group_id": 1, "id": -1})
            .build();
        messages.create_index(index).await?;
        Ok(Self::Mongo(messages))
    }

    /// Stores a message; when this returns it is kept.
    pub(crate) async fn add(&self, message: &Message) -> anyhow::Result<()> {
        match self {
            Self::Mongo(messages) => drop(messages.insert_one(message).await?),
            Self::Sqlite(file) => {
                let (group, id) = (message.group_id.clone(), message.id.clone());
                let row = (group, id, serde_json::to_string(message)?);
                blocking(file, |file| file.prepare_cached(INSERT)?.execute(row)).await?;
            }
        }
        Ok(())
    }

    /// The newest messages of a group come first.
    pub(crate) async fn newest(&self, group: Uuid, page: Page) -> anyhow::Result<Vec<Message>> {
        let (group, before) = (group.to_string(), page.before.to_string());
        match self {
            Self::Mongo(messages) => {
                let found = messages.find(doc! {"group_id": group, "id": {"$lt": before}});
                let found = found.sort(doc! {"id": -1}).limit(page.limit.into()).await?;
                Ok(found.try_collect().await?)
            }
            Self::Sqlite(file) => {
                let rows = blocking(file, move |file| {
                    let mut newest = file.prepare_cached(NEWEST)?;
                    let rows = newest.query_map((group, before, page.limit), |row| row.get(0))?;
                    rows.collect::<Result<Vec<String>, _>>()
                });
                rows.await?
                    .iter()
                    .map(|row| Ok(serde_json::from_str(row)?))
                    .collect()
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    file: &Arc<Mutex<Connection>>,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let file = Arc::clone(file);
    let work = move || work(&file.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(tokio::task::spawn_blocking(work).await??)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes ids and reads the clock"
)]
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}
