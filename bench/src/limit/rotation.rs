//! A bare rotation endpoint: reads the form, moves the family's generation on and adds an audit row through one writer
//! thread that commits whatever has queued (WAL, `synchronous=FULL`), signs a token of the usual size, answers JSON.
//! No client authentication, no check of the token but that its generation is the newest, no hash chain, no limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::{Connection, params};
use serde::Serialize;
use tokio::sync::oneshot;

use super::token::{Mint, SignatureKind};

/// Rotations that share a commit at most.
const BATCH: usize = 256;
/// As long as the part of our refresh tokens that proves them.
const PROOF: &str = "b9Zk3fQ0w7R5tY2uL8xV6nM4cH1jD0sAeGqPzXoTiKU";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Database file; made anew.
    #[arg(long)]
    file: PathBuf,
    /// Families in it, numbered from 0, all at generation 0.
    #[arg(long, default_value_t = 10_000)]
    families: i64,
}

/// The first refresh token of a family.
pub(crate) fn first_token(family: usize) -> String {
    token(&id(family as i64), 0)
}

fn id(family: i64) -> String {
    format!("01890000-0000-7000-8000-{family:012}")
}

fn token(id: &str, generation: i64) -> String {
    format!("{id}.{generation}.{PROOF}")
}

struct Rotate {
    id: String,
    generation: i64,
    won: oneshot::Sender<bool>,
}

struct Limit {
    mint: Mint,
    writer: SyncSender<Rotate>,
}

#[derive(Serialize)]
struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: String,
    scope: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let connection = open(&arguments.file, arguments.families)?;
    let (writer, queue) = sync_channel(4096);
    std::thread::spawn(move || {
        if let Err(error) = write(connection, &queue) {
            eprintln!("limit-rotation: {error:#}");
            std::process::exit(1);
        }
    });
    let limit = Limit {
        mint: Mint::new(SignatureKind::Es256)?,
        writer,
    };
    let router = Router::new()
        .route("/oauth/token", post(rotate))
        .route("/ready", get(|| async {}))
        .with_state(Arc::new(limit));
    super::serve(arguments.port, router)
}

async fn rotate(State(limit): State<Arc<Limit>>, body: Bytes) -> Response {
    let form: Vec<_> = url::form_urlencoded::parse(&body).collect();
    let field = |name| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_ref())
    };
    let answer = limit
        .rotate(field("refresh_token"), field("client_id"))
        .await;
    match answer {
        Some(answer) => Json(answer).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

impl Limit {
    async fn rotate(&self, refresh_token: &str, client_id: &str) -> Option<Answer> {
        let mut parts = refresh_token.split('.');
        let (id, generation) = (parts.next()?, parts.next()?.parse::<i64>().ok()?);
        let (won, outcome) = oneshot::channel();
        let rotate = Rotate {
            id: id.to_owned(),
            generation,
            won,
        };
        self.writer.try_send(rotate).ok()?;
        if !outcome.await.ok()? {
            return None;
        }
        let scope = "groups:read members:read";
        Some(Answer {
            access_token: self.mint.token(client_id, scope).ok()?,
            token_type: "Bearer",
            expires_in: 900,
            refresh_token: token(id, generation + 1),
            scope: scope.to_owned(),
        })
    }
}

fn open(file: &Path, families: i64) -> Result<Connection> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE family(id TEXT PRIMARY KEY, client_id TEXT NOT NULL, scope TEXT NOT NULL, generation INTEGER NOT NULL,
            rotated_at INTEGER NOT NULL, jti TEXT NOT NULL, expires_at INTEGER NOT NULL) STRICT;
         CREATE TABLE audit(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, event TEXT NOT NULL, grant_id TEXT NOT NULL,
            line TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
         CREATE INDEX audit_grant ON audit(grant_id, at);",
    )?;
    let transaction = connection.transaction()?;
    for family in 0..families {
        transaction
            .prepare_cached("INSERT INTO family VALUES (?1, 'bench-0000000', 'groups:read members:read', 0, 0, '', 0)")?
            .execute([id(family)])?;
    }
    transaction.commit()?;
    Ok(connection)
}

fn write(mut connection: Connection, queue: &Receiver<Rotate>) -> Result<()> {
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(BATCH - 1));
        let transaction = connection.transaction()?;
        let won: Vec<bool> = batch
            .iter()
            .map(|rotate| spend(&transaction, rotate))
            .collect::<Result<_>>()
            .context("a rotation")?;
        transaction.commit()?;
        for (rotate, won) in batch.into_iter().zip(won) {
            let _ = rotate.won.send(won);
        }
    }
    Ok(())
}

fn spend(connection: &Connection, rotate: &Rotate) -> Result<bool> {
    let line = r#"{"event":"refresh_token_rotated","at":"2026-01-01T00:00:00.000Z","actor":"client:bench-0000000","client_id":"bench-0000000","ip":"127.0.0.1","correlation_id":"b9Zk3fQ0w7R5tY2uL8xV6n","generation":"12","jti":"b9Zk3fQ0w7R5tY2uL8xV6n"}"#;
    let won = connection
        .prepare_cached(
            "UPDATE family SET generation = generation + 1, rotated_at = ?3, jti = ?4 WHERE id = ?1 AND generation = ?2",
        )?
        .execute(params![rotate.id, rotate.generation, rotate.generation, PROOF])?;
    connection
        .prepare_cached("INSERT INTO audit(at, event, grant_id, line, hash) VALUES (?1, 'refresh_token_rotated', ?2, ?3, ?4)")?
        .execute(params![rotate.generation, rotate.id, line, [7_u8; 32]])?;
    Ok(won == 1)
}
