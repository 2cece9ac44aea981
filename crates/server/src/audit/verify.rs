//! Checking the audit log: chains, stored checkpoints, their signatures, and checkpoints kept outside.
//!
//! Whoever can write to the database can also put a key of their own into it. Only checkpoints kept outside are
//! beyond them, which is why the export holds them and the check takes them back.

use std::collections::BTreeMap;
use std::fmt;

use tokensmith_jose::{Expect, Jwk, KeySet, VerifyingKey};
use tokensmith_store::{AuditCheckpoint, AuditFault, ChainHead, Store};

use super::{CheckpointClaims, decoded};
use crate::{app::StartError, keys::CHECKPOINT_TYPE};

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Records read.
    pub records: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: usize,
    /// For each stream, the last record a checkpoint speaks of.
    pub signed_up_to: BTreeMap<i64, i64>,
    /// What is wrong, the first fault of each stream first.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A chain is not as it was written.
    Log(AuditFault),
    /// A stored checkpoint was not signed by a key of this server, or speaks of something else.
    Signature {
        /// The stream.
        stream: i64,
        /// The record it stands for.
        seq: i64,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(fault) => fault.fmt(f),
            Self::Signature {
                stream,
                seq,
                reason,
            } => {
                write!(
                    f,
                    "stream {stream}: the checkpoint of record {seq} does not hold: {reason}"
                )
            }
        }
    }
}

/// Computes every chain again and checks every checkpoint. `held_outside` are heads from checkpoints kept elsewhere.
///
/// # Errors
/// When the store does not answer.
pub async fn verify(store: &Store, held_outside: &[ChainHead]) -> Result<Verification, StartError> {
    let keys = all_keys(store).await?;
    let checkpoints = store.audit_checkpoints().await?;
    let (records, faults) = store.verify_audit_against(held_outside).await?;
    let mut found = Verification {
        records,
        ..Verification::default()
    };
    found.findings.extend(faults.into_iter().map(Finding::Log));
    for checkpoint in &checkpoints {
        let (stream, seq) = (checkpoint.head.stream, checkpoint.head.seq);
        match check(&keys, checkpoint) {
            Ok(()) => {
                found.checkpoints += 1;
                found.signed_up_to.insert(stream, seq);
            }
            Err(reason) => found.findings.push(Finding::Signature {
                stream,
                seq,
                reason,
            }),
        }
    }
    Ok(found)
}

/// Every key there ever was: an erased or retired one still proves what it signed.
async fn all_keys(store: &Store) -> Result<KeySet, StartError> {
    let records = store.signing_keys().await?;
    let jwks = records
        .iter()
        .filter_map(|record| serde_json::from_str::<Jwk>(&record.public_jwk).ok());
    let keys: Vec<VerifyingKey> = jwks
        .filter_map(|jwk| VerifyingKey::from_jwk(&jwk).ok())
        .collect();
    KeySet::new(keys).map_err(|error| StartError::Keys(error.to_string()))
}

fn check(keys: &KeySet, checkpoint: &AuditCheckpoint) -> Result<(), String> {
    let claims = claims(keys, &checkpoint.statement)?;
    claims
        .speaks_of(&checkpoint.head)
        .then_some(())
        .ok_or_else(|| "it speaks of another record or hash".to_owned())
}

fn claims(keys: &KeySet, statement: &str) -> Result<CheckpointClaims, String> {
    let verified = keys
        .verify(statement, Expect::typ(&[CHECKPOINT_TYPE]))
        .map_err(|error| error.to_string())?;
    verified.claims().map_err(|error| error.to_string())
}

/// The heads that statements kept outside speak of. Their signatures are checked too.
///
/// # Errors
/// A sentence on the first statement that does not hold.
pub async fn heads_of(store: &Store, statements: &[String]) -> Result<Vec<ChainHead>, StartError> {
    let keys = all_keys(store).await?;
    let head = |statement: &String| {
        let claims = claims(&keys, statement)?;
        let hash = decoded(&claims.hash).ok_or("its hash is malformed")?;
        Ok(ChainHead {
            stream: claims.stream,
            seq: claims.seq,
            hash,
        })
    };
    let heads: Result<Vec<_>, String> = statements.iter().map(head).collect();
    heads.map_err(|reason| {
        StartError::Keys(format!("a checkpoint kept outside does not hold: {reason}"))
    })
}
