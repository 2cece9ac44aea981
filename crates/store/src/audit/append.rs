//! Adding lines to the chain, on either engine.

use rusqlite::Connection;

use super::{AuditContext, AuditEvent, AuditLine, ChainHead, STREAM_SHIFT};
use crate::{
    Durability, Operation, Row, StoreError, Tx, Value,
    engine::sqlite,
    tx::{FromRow, values},
};

/// Records an event that changes nothing else, such as the issue of a stateless access token or a refusal.
#[derive(Debug)]
pub struct AppendAudit {
    /// Who asked, from where and when.
    pub context: AuditContext,
    /// What happened.
    pub event: AuditEvent,
    /// Crash-safe unless the configuration makes everything power-safe.
    pub durability: Durability,
}

impl Operation for AppendAudit {
    type Outcome = ();

    fn durability(&self) -> Durability {
        self.durability
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.append_line(&self.context, &self.event);
        Ok(())
    }
}

const INSERT: &str = "INSERT INTO audit_log (id, at, event, user_id, grant_id, body, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(crate) fn append_sqlite(
    connection: &Connection,
    head: &ChainHead,
    line: &AuditLine,
) -> Result<ChainHead, StoreError> {
    let next = head.next(&line.body);
    let row = values![
        next.stream * STREAM_SHIFT + next.seq,
        line.at,
        line.event.as_ref(),
        line.user_id.as_ref(),
        line.grant_id.as_ref(),
        &line.body,
        next.hash.as_slice(),
    ];
    sqlite::execute(connection, INSERT, row)?;
    Ok(next)
}

pub(crate) fn load_head_sqlite(connection: &Connection) -> Result<ChainHead, StoreError> {
    let heads = sqlite::query(
        connection,
        "SELECT stream, seq, hash FROM audit_heads WHERE stream = 0",
        &[],
    )?;
    Ok(heads
        .into_iter()
        .next()
        .unwrap_or_else(|| ChainHead::genesis(0)))
}

pub(crate) fn save_head_sqlite(
    connection: &Connection,
    head: &ChainHead,
) -> Result<(), StoreError> {
    const SAVE: &str = "INSERT INTO audit_heads (stream, seq, hash) VALUES ($1, $2, $3)
        ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
    sqlite::execute(
        connection,
        SAVE,
        values![head.stream, head.seq, head.hash.as_slice()],
    )
    .map(drop)
}

/// On PostgreSQL the head's row is the lock of its stream: taken last in a transaction, so never in a circle.
pub(crate) const APPEND_POSTGRES: &str = "WITH head AS (
        INSERT INTO audit_heads AS h (stream, seq, hash)
        VALUES ($1, 1, sha256($2 || int8send(1) || convert_to($3, 'UTF8')))
        ON CONFLICT (stream) DO UPDATE
        SET seq = h.seq + 1, hash = sha256(h.hash || int8send(h.seq + 1) || convert_to($3, 'UTF8'))
        RETURNING seq, hash)
    INSERT INTO audit_log (id, at, event, user_id, grant_id, body, hash)
    SELECT $1 * 1099511627776 + seq, $4, $5, $6, $7, $3, hash FROM head";

/// The parameters of [`APPEND_POSTGRES`].
pub(crate) fn row_postgres<'a>(genesis: &'a ChainHead, line: &'a AuditLine) -> [Value<'a>; 7] {
    *values![
        genesis.stream,
        genesis.hash.as_slice(),
        &line.body,
        line.at,
        line.event.as_ref(),
        line.user_id.as_ref(),
        line.grant_id.as_ref(),
    ]
}

impl FromRow for ChainHead {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let hash = row
            .bytes(2)?
            .try_into()
            .map_err(|_| StoreError::corrupt("an audit hash is not 32 bytes"))?;
        Ok(Self {
            stream: row.int(0)?,
            seq: row.int(1)?,
            hash,
        })
    }
}
