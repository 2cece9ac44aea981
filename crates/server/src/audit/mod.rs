//! Signed checkpoints of the audit log: a statement that a chain once reached a certain hash. Kept outside the
//! database as well (`tokensmith audit export`), they show when the end of a log was cut off or rewritten.

mod verify;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use tokensmith_store::{AuditCheckpoint, ChainHead, RecordCheckpoint, Timestamp};

use crate::app::{App, StartError};

pub use verify::{Finding, Verification, heads_of, verify};

/// The claims of a checkpoint, a JWS of type [`crate::keys::CHECKPOINT_TYPE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointClaims {
    /// The issuer identifier of the server that signed.
    pub iss: String,
    /// The stream of the chain.
    pub stream: i64,
    /// The number of the record.
    pub seq: i64,
    /// The chain's hash at that record, base64url.
    pub hash: String,
    /// When it was signed, RFC 3339.
    pub at: String,
}

impl CheckpointClaims {
    /// Whether it speaks of this head.
    fn speaks_of(&self, head: &ChainHead) -> bool {
        self.stream == head.stream && self.seq == head.seq && self.hash == encoded(&head.hash)
    }
}

/// Signs and records a checkpoint of this head. Says whether it was recorded: not if another node was faster.
///
/// # Errors
/// When no key signs at this time or the store does not answer.
pub async fn checkpoint(app: &App, head: ChainHead) -> Result<bool, StartError> {
    let at = app.clock().now();
    let statement = sign(app, &head, at).await?;
    let checkpoint = AuditCheckpoint {
        head,
        at,
        statement,
    };
    Ok(app.store().write(RecordCheckpoint { checkpoint }).await?)
}

async fn sign(app: &App, head: &ChainHead, at: Timestamp) -> Result<String, StartError> {
    let claims = CheckpointClaims {
        iss: app.config().issuer.as_str().to_owned(),
        stream: head.stream,
        seq: head.seq,
        hash: encoded(&head.hash),
        at: at.to_string(),
    };
    let keys = app.keys().current();
    let signer = keys
        .checkpoints(at)
        .ok_or_else(|| StartError::Keys("no key signs at this time".to_owned()))?;
    let signed = signer.sign(&claims).await;
    signed.map_err(|error| StartError::Keys(format!("a checkpoint cannot be signed: {error}")))
}

/// Signs a checkpoint of every chain that has grown since its last one.
///
/// # Errors
/// As [`checkpoint`].
pub async fn checkpoint_all(app: &App) -> Result<(), StartError> {
    for head in app.store().heads_without_checkpoint().await? {
        checkpoint(app, head).await?;
    }
    Ok(())
}

fn encoded(hash: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

fn decoded(hash: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(hash).ok()?.try_into().ok()
}
