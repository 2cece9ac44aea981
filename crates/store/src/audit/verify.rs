//! Checking that nobody changed the audit log: every chain is computed again and compared with the stored heads,
//! the stored checkpoints and whatever heads the caller holds outside. Reports the first fault of each stream.
//!
//! Not found: a log cut off together with its head and checkpoints, unless the caller holds a later head outside.

use std::collections::{BTreeMap, BTreeSet};

use super::{AuditRecord, ChainHead, STREAM_SHIFT, read::COLUMNS};
use crate::{Store, StoreError, tx::values};

/// What a check of the chain found wrong.
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
    /// The log ends before its head, or a checkpoint, says.
    #[error("stream {stream}: the log ends at record {found}, but record {expected} was written")]
    Truncated {
        /// The stream.
        stream: i64,
        /// The last record that is known to have been there.
        expected: i64,
        /// The last record that is there.
        found: i64,
    },
    /// There are records beyond the stored head: nothing of ours wrote them.
    #[error("stream {stream}: record {seq} lies beyond the head of the log")]
    Appended {
        /// The stream.
        stream: i64,
        /// The first such record.
        seq: i64,
    },
    /// A head or a checkpoint names another hash than the chain has at that place.
    #[error("stream {stream}: record {seq} does not have the hash its checkpoint names")]
    CheckpointDiffers {
        /// The stream.
        stream: i64,
        /// The record.
        seq: i64,
    },
}

impl Store {
    /// Computes every chain again. Returns how many records it read and what it found wrong. The signatures of the
    /// checkpoints are the caller's to check.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn verify_audit(&self) -> Result<(u64, Vec<AuditFault>), StoreError> {
        self.verify_audit_against(&[]).await
    }

    /// Like [`Store::verify_audit`], and compares with heads that were kept outside the database as well.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn verify_audit_against(
        &self,
        held_outside: &[ChainHead],
    ) -> Result<(u64, Vec<AuditFault>), StoreError> {
        const PART: &str = const_str::concat!(COLUMNS, " WHERE id > $1 ORDER BY id LIMIT 2000");
        self.settle_journal().await?;
        // What must be found is read before the walk, and how far it may go after it: lines that are written
        // meanwhile are then neither missing nor too many.
        let mut walk = Walk::new(self.known_heads(held_outside).await?);
        let (mut records, mut after) = (0, i64::MIN);
        loop {
            let page: Vec<AuditRecord> = self.all(PART, values![after]).await?;
            let Some(last) = page.last() else { break };
            records += page.len() as u64;
            after = match page.iter().find_map(|record| walk.step(record)) {
                Some(faulty) => (faulty + 1).saturating_mul(STREAM_SHIFT) - 1,
                None => last.id(),
            };
        }
        Ok((records, walk.end(&self.audit_heads().await?)))
    }

    async fn known_heads(&self, held_outside: &[ChainHead]) -> Result<Vec<ChainHead>, StoreError> {
        let mut known = held_outside.to_vec();
        known.extend(self.audit_heads().await?);
        let checkpoints = self.audit_checkpoints().await?;
        known.extend(checkpoints.into_iter().map(|checkpoint| checkpoint.head));
        Ok(known)
    }
}

/// A walk along all streams, one after the other.
struct Walk {
    /// Heads that streams are known to have had.
    known: BTreeMap<(i64, i64), Vec<[u8; 32]>>,
    /// How far each stream was found in order.
    reached: BTreeMap<i64, ChainHead>,
    faults: Vec<AuditFault>,
    faulty: BTreeSet<i64>,
}

impl Walk {
    fn new(heads: Vec<ChainHead>) -> Self {
        let mut known: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for head in heads.into_iter().filter(|head| head.seq > 0) {
            known
                .entry((head.stream, head.seq))
                .or_default()
                .push(head.hash);
        }
        Self {
            known,
            reached: BTreeMap::new(),
            faults: Vec::new(),
            faulty: BTreeSet::new(),
        }
    }

    /// Takes the next record; names its stream if it is the first faulty one of it.
    fn step(&mut self, record: &AuditRecord) -> Option<i64> {
        let stream = record.stream;
        let head = self
            .reached
            .entry(stream)
            .or_insert_with(|| ChainHead::genesis(stream));
        let next = head.next(&record.body);
        let fault = if record.seq != next.seq {
            AuditFault::Gap {
                stream,
                expected: next.seq,
                found: record.seq,
            }
        } else if record.hash != next.hash || !record.columns_match() {
            AuditFault::Changed {
                stream,
                seq: next.seq,
            }
        } else if self
            .known
            .get(&(stream, next.seq))
            .is_some_and(|hashes| hashes.iter().any(|hash| *hash != next.hash))
        {
            AuditFault::CheckpointDiffers {
                stream,
                seq: next.seq,
            }
        } else {
            *head = next;
            return None;
        };
        self.faults.push(fault);
        self.faulty.insert(stream);
        Some(stream)
    }

    fn end(mut self, heads: &[ChainHead]) -> Vec<AuditFault> {
        let reached = |stream: i64| self.reached.get(&stream).map_or(0, |head| head.seq);
        let mut last: BTreeMap<i64, i64> = BTreeMap::new();
        // Keys come in order, so the highest number of a stream stays.
        last.extend(self.known.keys().copied());
        let truncated = last
            .into_iter()
            .filter(|&(stream, expected)| expected > reached(stream))
            .map(|(stream, expected)| AuditFault::Truncated {
                stream,
                expected,
                found: reached(stream),
            });
        let head = |stream: i64| heads.iter().find(|head| head.stream == stream);
        let appended = self.reached.keys().filter_map(|&stream| {
            let seq = head(stream).map_or(0, |head| head.seq);
            (reached(stream) > seq).then_some(AuditFault::Appended {
                stream,
                seq: seq + 1,
            })
        });
        let at_the_end: Vec<_> = truncated.chain(appended).collect();
        let whole = at_the_end
            .into_iter()
            .filter(|fault| !self.faulty.contains(&fault.stream()));
        self.faults.extend(whole);
        self.faults.sort_by_key(AuditFault::stream);
        self.faults
    }
}

impl AuditFault {
    /// The stream it is in.
    pub fn stream(&self) -> i64 {
        match *self {
            Self::Gap { stream, .. }
            | Self::Changed { stream, .. }
            | Self::Truncated { stream, .. }
            | Self::Appended { stream, .. }
            | Self::CheckpointDiffers { stream, .. } => stream,
        }
    }

    /// The number of the first record that is not as it was written.
    pub fn seq(&self) -> i64 {
        match *self {
            Self::Gap { expected, .. } => expected,
            Self::Truncated { found, .. } => found + 1,
            Self::Changed { seq, .. }
            | Self::Appended { seq, .. }
            | Self::CheckpointDiffers { seq, .. } => seq,
        }
    }
}
