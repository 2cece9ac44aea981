//! Identifiers that may be used once (`jti`, RFC 7519 §4.1.7), remembered until what carried them has expired. The
//! kinds never mix, nor do the owners within a kind; of an identifier only a digest is kept, so its length is bounded.

use aws_lc_rs::digest;

use crate::{Durability, Operation, StoreError, Timestamp, Tx, tx::values};

/// What carried the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JtiKind {
    /// A client's assertion about itself (RFC 7523 §2.2).
    ClientAssertion,
    /// A trusted issuer's assertion, presented as a grant (RFC 7523 §2.1).
    AuthorizationGrant,
    /// A proof of possession (RFC 9449 §4.2).
    DpopProof,
}

impl JtiKind {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientAssertion => "client_assertion",
            Self::AuthorizationGrant => "authorization_grant",
            Self::DpopProof => "dpop_proof",
        }
    }
}

/// Uses an identifier. The primary key proves that it was not used before, on whichever node.
///
/// It writes no audit line: what the identifier was used for has its own. On [`JtiUse::Replayed`] the caller writes
/// the line of its refusal.
#[derive(Clone, Debug)]
pub struct UseJti {
    /// What carried it.
    pub kind: JtiKind,
    /// Who made it, within the kind: a client id, an issuer, a key's thumbprint.
    pub owner: String,
    /// The identifier.
    pub jti: String,
    /// The first instant at which its carrier is refused for its age, tolerance included.
    pub expires_at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JtiUse {
    /// This was its first use.
    First,
    /// It was used before.
    Replayed,
}

impl Operation for UseJti {
    type Outcome = JtiUse;

    /// A proof lives for seconds, and whoever replays it still needs the token it was made for. An assertion is
    /// enough by itself, so its use survives a power cut.
    fn durability(&self) -> Durability {
        match self.kind {
            JtiKind::ClientAssertion | JtiKind::AuthorizationGrant => Durability::PowerSafe,
            JtiKind::DpopProof => Durability::CrashSafe,
        }
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<JtiUse, StoreError> {
        const USE: &str = "INSERT INTO used_jtis (kind, digest, expires_at) VALUES ($1, $2, $3)
            ON CONFLICT (kind, digest) DO NOTHING";
        let digest = self.digest();
        let row = values![self.kind.as_str(), digest.as_ref(), self.expires_at];
        Ok(if tx.won(USE, row).await? {
            JtiUse::First
        } else {
            JtiUse::Replayed
        })
    }
}

impl UseJti {
    /// SHA-256 over owner and identifier. The owner's length comes first, so no two pairs read the same.
    fn digest(&self) -> digest::Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&(self.owner.len() as u64).to_be_bytes());
        context.update(self.owner.as_bytes());
        context.update(self.jti.as_bytes());
        context.finish()
    }
}
