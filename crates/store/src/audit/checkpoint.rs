//! Signed checkpoints: statements that a chain once reached a certain hash. Kept outside the database as well, they
//! show when the end of a log was cut off.

use super::{ChainHead, STREAM_SHIFT};
use crate::{
    Operation, Row, Store, StoreError, Timestamp, Tx,
    tx::{FromRow, values},
};

/// A stored checkpoint.
#[derive(Clone, Debug)]
pub struct AuditCheckpoint {
    /// The head it speaks of.
    pub head: ChainHead,
    /// When it was made.
    pub at: Timestamp,
    /// The signed statement: a JWS in compact form (RFC 7515).
    pub statement: String,
}

impl FromRow for AuditCheckpoint {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            head: ChainHead::from_row(row)?,
            at: row.time(3)?,
            statement: row.text(4)?,
        })
    }
}

impl Store {
    /// Heads that have grown since their last checkpoint.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn heads_without_checkpoint(&self) -> Result<Vec<ChainHead>, StoreError> {
        const GROWN: &str = "SELECT stream, seq, hash FROM audit_heads AS h
            WHERE seq > COALESCE((SELECT max(seq) FROM audit_checkpoints AS c WHERE c.stream = h.stream), 0)
            ORDER BY stream";
        // A line that was acknowledged is part of the log, also before it is in the chain.
        self.settle_journal().await?;
        self.all(GROWN, &[]).await
    }

    /// Every stream's head.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        self.all(
            "SELECT stream, seq, hash FROM audit_heads ORDER BY stream",
            &[],
        )
        .await
    }

    /// Every checkpoint, by stream and sequence number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_checkpoints(&self) -> Result<Vec<AuditCheckpoint>, StoreError> {
        self.all(
            "SELECT stream, seq, hash, at, statement FROM audit_checkpoints ORDER BY stream, seq",
            &[],
        )
        .await
    }
}

/// Records a checkpoint, if the record it speaks of is there with that very hash.
#[derive(Debug)]
pub struct RecordCheckpoint {
    /// The checkpoint.
    pub checkpoint: AuditCheckpoint,
}

impl Operation for RecordCheckpoint {
    /// Whether it was recorded; `false` if it was there already or its record is not.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const CHECKED: &str = "SELECT id FROM audit_log WHERE id = $1 AND hash = $2";
        const RECORD: &str = "INSERT INTO audit_checkpoints (stream, seq, hash, at, statement)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (stream, seq) DO NOTHING";
        let AuditCheckpoint {
            head,
            at,
            statement,
        } = &self.checkpoint;
        let id = head.stream * STREAM_SHIFT + head.seq;
        if tx
            .first::<i64>(CHECKED, values![id, head.hash.as_slice()])
            .await?
            .is_none()
        {
            return Ok(false);
        }
        tx.won(
            RECORD,
            values![head.stream, head.seq, head.hash.as_slice(), *at, statement],
        )
        .await
    }
}
