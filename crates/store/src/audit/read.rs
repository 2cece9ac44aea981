//! Reading the audit log, and checking that nobody changed it.

use super::{ChainHead, STREAM_SHIFT};
use crate::{
    Row, Store, StoreError, Timestamp,
    tx::{FromRow, values},
};

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// The stream it belongs to.
    pub stream: i64,
    /// Its number in the stream, from 1.
    pub seq: i64,
    /// The instant of the request that caused it.
    pub at: Timestamp,
    /// The event's word.
    pub event: String,
    /// The user it is about.
    pub user_id: Option<String>,
    /// The token family or session it belongs to.
    pub grant_id: Option<String>,
    /// The whole line: a JSON object of strings.
    pub body: String,
    /// Hash of the chain up to here.
    pub hash: Vec<u8>,
}

const COLUMNS: &str = "SELECT id, at, event, user_id, grant_id, body, hash FROM audit_log";

impl FromRow for AuditRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let id = row.int(0)?;
        Ok(Self {
            stream: id / STREAM_SHIFT,
            seq: id % STREAM_SHIFT,
            at: row.time(1)?,
            event: row.text(2)?,
            user_id: row.opt_text(3)?,
            grant_id: row.opt_text(4)?,
            body: row.text(5)?,
            hash: row.bytes(6)?,
        })
    }
}

impl AuditRecord {
    /// The record's place in the whole log: the cursor of [`AuditPage`].
    pub fn id(&self) -> i64 {
        self.stream * STREAM_SHIFT + self.seq
    }

    /// Whether the indexed columns say what the hashed text says.
    fn columns_match(&self) -> bool {
        let Ok(body) = serde_json::from_str::<serde_json::Value>(&self.body) else {
            return false;
        };
        let member = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
        member("event") == Some(&self.event)
            && member("at") == Some(&self.at.to_string())
            && member("user_id") == self.user_id.as_deref()
            && member("grant_id") == self.grant_id.as_deref()
    }
}

/// Which lines to read: at most `limit` of them with ids above `after`.
#[derive(Clone, Copy, Debug)]
pub struct AuditPage {
    /// The last id already seen; 0 to begin.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

/// What a check of the chain found wrong. The first fault of a stream is reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A record between others is gone, or one was slipped in.
    #[error("stream {stream}: record {expected} is missing (found {found} in its place)")]
    Gap {
        /// The stream.
        stream: i64,
        /// The number that should come.
        expected: i64,
        /// The number that came.
        found: i64,
    },
    /// A record's text, columns or hash were changed.
    #[error("stream {stream}: record {seq} was changed")]
    Changed {
        /// The stream.
        stream: i64,
        /// The record.
        seq: i64,
    },
    /// The log ends before, or after, where its head or a checkpoint says.
    #[error("stream {stream}: the log ends at record {found}, but record {expected} was recorded")]
    Truncated {
        /// The stream.
        stream: i64,
        /// The last record that is known to have been there.
        expected: i64,
        /// The last record that is there.
        found: i64,
    },
    /// A checkpoint names another hash than the chain has at that place.
    #[error("stream {stream}: record {seq} does not have the hash its checkpoint names")]
    CheckpointDiffers {
        /// The stream.
        stream: i64,
        /// The record.
        seq: i64,
    },
}

impl Store {
    /// A page of the log in chain order (stream by stream).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_page(&self, page: AuditPage) -> Result<Vec<AuditRecord>, StoreError> {
        const PAGE: &str = const_str::concat!(COLUMNS, " WHERE id > $1 ORDER BY id LIMIT $2");
        self.all(PAGE, values![page.after, page.limit]).await
    }

    /// The newest lines about a user, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_of_user(
        &self,
        user_id: &str,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const OF_USER: &str =
            const_str::concat!(COLUMNS, " WHERE user_id = $1 ORDER BY at DESC LIMIT $2");
        self.all(OF_USER, values![user_id, limit]).await
    }

    /// Every line of a token family or session, oldest first: its timeline.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_of_grant(
        &self,
        grant_id: &str,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const OF_GRANT: &str =
            const_str::concat!(COLUMNS, " WHERE grant_id = $1 ORDER BY at, id LIMIT $2");
        self.all(OF_GRANT, values![grant_id, limit]).await
    }

    /// The newest lines of the whole log, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_newest(&self, limit: i64) -> Result<Vec<AuditRecord>, StoreError> {
        const NEWEST: &str = const_str::concat!(COLUMNS, " ORDER BY id DESC LIMIT $1");
        self.all(NEWEST, values![limit]).await
    }

    /// Recomputes every chain and compares it with the stored heads and checkpoints. Returns how many records it
    /// read and what it found wrong. Signatures of the checkpoints are the caller's to check.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn verify_audit(&self) -> Result<(u64, Vec<AuditFault>), StoreError> {
        // The heads first: lines written while this runs are then beyond them, never missing.
        let heads = self.audit_heads().await?;
        let checkpoints = self.audit_checkpoints().await?;
        let mut records = 0;
        let mut faults = Vec::new();
        let mut streams: Vec<i64> = heads.iter().map(|head| head.stream).collect();
        streams.extend(checkpoints.iter().map(|checkpoint| checkpoint.head.stream));
        streams.sort_unstable();
        streams.dedup();
        for stream in streams {
            let known = heads
                .iter()
                .cloned()
                .chain(checkpoints.iter().map(|checkpoint| checkpoint.head.clone()));
            let known = known
                .filter(|head| head.stream == stream && head.seq > 0)
                .collect();
            let mut walk = Walk {
                head: ChainHead::genesis(stream),
                known,
            };
            records += self.walk(&mut walk, &mut faults).await?;
        }
        Ok((records, faults))
    }

    async fn walk(&self, walk: &mut Walk, faults: &mut Vec<AuditFault>) -> Result<u64, StoreError> {
        const PART: &str =
            const_str::concat!(COLUMNS, " WHERE id > $1 AND id < $2 ORDER BY id LIMIT 2000");
        let end = (walk.head.stream + 1) * STREAM_SHIFT;
        let mut after = walk.head.stream * STREAM_SHIFT;
        let mut records = 0;
        loop {
            let page: Vec<AuditRecord> = self.all(PART, values![after, end]).await?;
            for record in &page {
                records += 1;
                if let Err(fault) = walk.step(record) {
                    faults.push(fault);
                    return Ok(records);
                }
            }
            match page.last() {
                Some(last) => after = last.id(),
                None => break,
            }
        }
        faults.extend(walk.end());
        Ok(records)
    }
}

/// A walk along one stream.
struct Walk {
    head: ChainHead,
    /// Heads this stream is known to have had: its stored head and its checkpoints.
    known: Vec<ChainHead>,
}

impl Walk {
    fn step(&mut self, record: &AuditRecord) -> Result<(), AuditFault> {
        let stream = self.head.stream;
        if record.seq != self.head.seq + 1 {
            return Err(AuditFault::Gap {
                stream,
                expected: self.head.seq + 1,
                found: record.seq,
            });
        }
        let next = self.head.next(&record.body);
        if record.hash != next.hash || !record.columns_match() {
            return Err(AuditFault::Changed {
                stream,
                seq: record.seq,
            });
        }
        if self
            .known
            .iter()
            .any(|known| known.seq == next.seq && known.hash != next.hash)
        {
            return Err(AuditFault::CheckpointDiffers {
                stream,
                seq: record.seq,
            });
        }
        self.head = next;
        Ok(())
    }

    fn end(&self) -> Option<AuditFault> {
        let expected = self.known.iter().map(|known| known.seq).max().unwrap_or(0);
        let (stream, found) = (self.head.stream, self.head.seq);
        (expected > found).then_some(AuditFault::Truncated {
            stream,
            expected,
            found,
        })
    }
}
