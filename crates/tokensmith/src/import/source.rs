//! Where the documents are: a MongoDB, or a directory with files of `mongoexport` (one document a line, or one array).

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use tokensmith_oauth2::Secret;

use super::document::Document;

/// Longer than any document of MongoDB (16 MiB), written as Extended JSON.
const LONGEST_LINE: usize = 64 << 20;
/// Used when neither the URL nor `MONGODB_DB` names one.
#[cfg(feature = "mongodb")]
const DATABASE: &str = "m2m";

pub(super) enum Source {
    Files(PathBuf),
    #[cfg(feature = "mongodb")]
    MongoDb(mongodb::Database),
}

impl Source {
    pub(super) fn files(directory: &Path) -> Result<Self> {
        let clients = directory.join("clients.json");
        if !clients.is_file() {
            bail!("there is no {}", clients.display());
        }
        Ok(Self::Files(directory.to_owned()))
    }

    #[cfg(feature = "mongodb")]
    pub(super) async fn connect(url: Option<&Secret>, database: Option<&str>) -> Result<Self> {
        // The driver's errors may quote the URL, and the URL may hold a password.
        let failed = || anyhow::anyhow!("the URL of the MongoDB cannot be used");
        let url = url.context("name the MongoDB by --url or MONGODB_URL")?;
        let client = mongodb::Client::with_uri_str(url.expose())
            .await
            .map_err(|_| failed())?;
        let named = database.map(|name| client.database(name));
        let database = named.or_else(|| client.default_database());
        Ok(Self::MongoDb(
            database.unwrap_or_else(|| client.database(DATABASE)),
        ))
    }

    #[cfg(not(feature = "mongodb"))]
    pub(super) async fn connect(_: Option<&Secret>, _: Option<&str>) -> Result<Self> {
        bail!("this program was built without MongoDB: export the collections and use --from")
    }

    /// Hands over each document of a collection. A collection that is not there has none.
    pub(super) async fn each(
        &self,
        collection: &str,
        take: impl AsyncFnMut(Document) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Files(directory) => {
                let path = directory.join(format!("{collection}.json"));
                let shown = || format!("{} cannot be read", path.display());
                if !path.exists() {
                    return Ok(());
                }
                each_of_file(&path, take).await.with_context(shown)
            }
            #[cfg(feature = "mongodb")]
            Self::MongoDb(database) => each_of_database(database, collection, take).await,
        }
    }
}

#[cfg(feature = "mongodb")]
async fn each_of_database(
    database: &mongodb::Database,
    collection: &str,
    mut take: impl AsyncFnMut(Document) -> Result<()>,
) -> Result<()> {
    let collection = database.collection::<mongodb::bson::Document>(collection);
    let mut found = collection.find(mongodb::bson::doc! {}).await?;
    while found.advance().await? {
        let members = serde_json::to_value(found.deserialize_current()?)?;
        take(document(members)?).await?;
    }
    Ok(())
}

async fn each_of_file(
    path: &Path,
    mut take: impl AsyncFnMut(Document) -> Result<()>,
) -> Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let begins = reader
        .fill_buf()?
        .iter()
        .find(|byte| !byte.is_ascii_whitespace());
    if begins == Some(&b'[') {
        let documents: Vec<Map<String, Value>> = serde_json::from_reader(reader)?;
        for members in documents {
            take(Document::new(members)).await?;
        }
        return Ok(());
    }
    for (number, line) in reader.lines().enumerate() {
        let line = line?;
        if line.len() > LONGEST_LINE {
            bail!("line {} is too long", number + 1);
        }
        if !line.trim().is_empty() {
            let members = serde_json::from_str(&line).map_err(|error| {
                anyhow::anyhow!("line {} is no JSON: column {}", number + 1, error.column())
            })?;
            take(document(members)?).await?;
        }
    }
    Ok(())
}

fn document(value: Value) -> Result<Document> {
    match value {
        Value::Object(members) => Ok(Document::new(members)),
        _ => bail!("a document is not an object"),
    }
}
