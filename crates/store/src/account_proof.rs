//! Proofs that somebody reads an address: a link's token or a typed code, sent by mail. Each is spent in the same
//! transaction as what it permits, and there is one of a kind for a user, so a new one ends the one before.

use std::time::Duration;

use crate::{
    AuditContext, AuditEvent, Mail, Operation, Row, Store, StoreError, Timestamp, Tx, UserId,
    tx::{FromRow, values},
};

/// What a proof permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// To call the account's address proved.
    VerifyEmail,
    /// To choose a new password.
    ResetPassword,
    /// To change the account's address to the one it was sent to.
    ChangeEmail,
    /// Nothing: it spaces the notices to somebody whose address was registered again.
    Notice,
}

impl ProofKind {
    /// The word in the records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
            Self::Notice => "notice",
        }
    }
}

/// A proof to be sent.
#[derive(Clone, Debug)]
pub struct NewProof {
    /// What it permits.
    pub kind: ProofKind,
    /// Whom.
    pub user_id: UserId,
    /// The address it is sent to.
    pub email: String,
    /// SHA-256 of the link's token.
    pub token_digest: Vec<u8>,
    /// HMAC of the code.
    pub code_digest: Vec<u8>,
    /// How often a code may be tried.
    pub tries: i64,
    /// When it ends.
    pub expires_at: Timestamp,
    /// It is not made while the one before is younger than this.
    pub spacing: Duration,
}

/// What was shown to spend a proof.
#[derive(Clone, Debug)]
pub enum ShownProof {
    /// SHA-256 of a link's token.
    Token(Vec<u8>),
    /// HMAC of a code.
    Code(Vec<u8>),
}

impl NewProof {
    /// Keeps it. Says whether it was time for a new one.
    pub(crate) async fn keep(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, StoreError> {
        const KEEP: &str = "INSERT INTO account_proofs
            (user_id, kind, email, token_digest, code_digest, tries_left, created_at, expires_at)
            SELECT id, $1, $2, $3, $4, $5, $6, $7 FROM users WHERE id = $8 AND is_active = 1
            ON CONFLICT (user_id, kind) DO UPDATE SET email = excluded.email, token_digest = excluded.token_digest,
            code_digest = excluded.code_digest, tries_left = excluded.tries_left, created_at = excluded.created_at,
            expires_at = excluded.expires_at WHERE account_proofs.created_at <= $9";
        let row = values![
            self.kind.as_str(),
            &self.email,
            &self.token_digest,
            &self.code_digest,
            self.tries,
            now,
            self.expires_at,
            &self.user_id,
            now - self.spacing,
        ];
        tx.won(KEEP, row).await
    }
}

/// Sends a proof to a user, unless the last one of its kind is too young.
#[derive(Debug)]
pub struct SendProof {
    /// The proof.
    pub proof: NewProof,
    /// The mail that carries it.
    pub mail: Mail,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for SendProof {
    /// Whether it was sent.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let kept = self.proof.keep(tx, self.context.at).await?;
        if kept {
            tx.mail(&self.mail, self.context.at).await?;
        }
        let outcome = if kept { "sent" } else { "too_soon" };
        let event = AuditEvent::new("account_proof_requested")
            .user(&self.proof.user_id)
            .field("kind", self.proof.kind.as_str())
            .outcome(outcome);
        tx.audit(&self.context, event);
        Ok(kept)
    }
}

/// A proof that waits to be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose.
    pub user_id: UserId,
    /// The address it was sent to.
    pub email: String,
}

impl FromRow for AccountProof {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: row.word(0)?,
            email: row.text(1)?,
        })
    }
}

impl Store {
    /// Whose proof a link's token is, if it is one that may be spent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_proof(
        &self,
        kind: ProofKind,
        token_digest: &[u8],
        now: Timestamp,
    ) -> Result<Option<AccountProof>, StoreError> {
        const BY_TOKEN: &str = "SELECT user_id, email FROM account_proofs
            WHERE kind = $1 AND token_digest = $2 AND expires_at > $3";
        self.first(BY_TOKEN, values![kind.as_str(), token_digest, now])
            .await
    }
}

/// A code as it is kept.
struct KeptCode {
    digest: Vec<u8>,
    email: String,
}

impl FromRow for KeptCode {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            digest: row.bytes(0)?,
            email: row.text(1)?,
        })
    }
}

/// Spends a proof of a user: it is gone whatever follows. The answer is the address it was sent to.
pub(crate) async fn spend(
    tx: &mut Tx<'_>,
    (kind, user): (ProofKind, &UserId),
    shown: &ShownProof,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    const BY_TOKEN: &str = "DELETE FROM account_proofs
        WHERE user_id = $1 AND kind = $2 AND token_digest = $3 AND expires_at > $4 RETURNING email";
    match shown {
        ShownProof::Token(digest) => {
            tx.first(BY_TOKEN, values![user, kind.as_str(), digest, now])
                .await
        }
        ShownProof::Code(digest) => spend_code(tx, (kind, user), digest, now).await,
    }
}

/// The try is counted before the code is compared, so guesses sent at once are as many as any others.
async fn spend_code(
    tx: &mut Tx<'_>,
    (kind, user): (ProofKind, &UserId),
    digest: &[u8],
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    const TRY: &str = "UPDATE account_proofs SET tries_left = tries_left - 1
        WHERE user_id = $1 AND kind = $2 AND tries_left > 0 AND expires_at > $3 RETURNING code_digest, email";
    let kept: Option<KeptCode> = tx.first(TRY, values![user, kind.as_str(), now]).await?;
    match kept {
        Some(kept)
            if aws_lc_rs::constant_time::verify_slices_are_equal(&kept.digest, digest).is_ok() =>
        {
            forget(tx, user, kind).await?;
            Ok(Some(kept.email))
        }
        _ => Ok(None),
    }
}

/// Ends a proof that was not spent.
pub(crate) async fn forget(
    tx: &mut Tx<'_>,
    user: &UserId,
    kind: ProofKind,
) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM account_proofs WHERE user_id = $1 AND kind = $2";
    tx.execute(FORGET, values![user, kind.as_str()])
        .await
        .map(drop)
}
