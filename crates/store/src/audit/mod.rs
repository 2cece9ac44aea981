//! The audit log: append-only, hash-chained per stream, written in the transaction of what it records.
//!
//! A line is a JSON text. Its hash is SHA-256(previous hash ‖ sequence number as 8 bytes big-endian ‖ text), and
//! the first "previous hash" of a stream is SHA-256("tokensmith audit stream " ‖ stream number). SQLite has one
//! stream, held by its writer thread; PostgreSQL has [`STREAMS`], so that transactions seldom wait for each other.

mod append;
mod checkpoint;
mod event;
mod noted;
mod read;
mod timeline;
mod verify;

pub use append::AppendAudit;
pub(crate) use append::{
    APPEND_POSTGRES, append_sqlite, load_head_sqlite, row_postgres, save_head_sqlite,
};
pub use checkpoint::{AuditCheckpoint, RecordCheckpoint};
pub(crate) use event::AuditLine;
pub use event::{AuditContext, AuditEvent, TokenNames};
pub use noted::{DayOfEvents, NOTED};
pub use read::{AuditPage, AuditRecord};
pub use verify::AuditFault;

/// Streams on PostgreSQL. A record's id is `stream * 2^40 + sequence number`.
pub(crate) const STREAMS: i64 = 64;
pub(crate) const STREAM_SHIFT: i64 = 1 << 40;

/// The last link of a stream's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The stream's number.
    pub stream: i64,
    /// Sequence number of the last record; 0 before the first.
    pub seq: i64,
    /// Hash of the last record.
    pub hash: [u8; 32],
}

impl ChainHead {
    /// Where a stream's chain starts.
    pub fn genesis(stream: i64) -> Self {
        let text = format!("tokensmith audit stream {stream}");
        Self {
            stream,
            seq: 0,
            hash: sha256(&[text.as_bytes()]),
        }
    }

    /// The head after a record with this body was added.
    #[must_use]
    pub fn next(&self, body: &str) -> Self {
        let seq = self.seq + 1;
        let hash = sha256(&[&self.hash, &seq.to_be_bytes(), body.as_bytes()]);
        Self {
            stream: self.stream,
            seq,
            hash,
        }
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use aws_lc_rs::digest;
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
