//! Recovery codes: kept as SHA-256, each good once. They hold 80 random bits, so a digest gives nothing away.

use super::{FromRow, Operation, Row, StoreError, Timestamp, Tx, UserId, forgive, values};
use crate::{AuditContext, AuditEvent, Mail};

/// SHA-256 over a user and a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryDigest(pub [u8; 32]);

struct Count(i64);

impl FromRow for Count {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.int(0).map(Self)
    }
}

async fn left(tx: &mut Tx<'_>, user: &UserId) -> Result<i64, StoreError> {
    const LEFT: &str = "SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL";
    let left: Option<Count> = tx.first(LEFT, values![user]).await?;
    Ok(left.map_or(0, |Count(left)| left))
}

/// Writes codes unless some are left; says whether it did.
pub(super) async fn put_first(
    tx: &mut Tx<'_>,
    user: &UserId,
    codes: &[RecoveryDigest],
    now: Timestamp,
) -> Result<bool, StoreError> {
    if codes.is_empty() || left(tx, user).await? > 0 {
        return Ok(false);
    }
    replace(tx, user, codes, now).await?;
    Ok(true)
}

async fn replace(
    tx: &mut Tx<'_>,
    user: &UserId,
    codes: &[RecoveryDigest],
    now: Timestamp,
) -> Result<(), StoreError> {
    const CLEAR: &str = "DELETE FROM recovery_codes WHERE user_id = $1";
    const PUT: &str =
        "INSERT INTO recovery_codes (user_id, digest, created_at) VALUES ($1, $2, $3)";
    tx.execute(CLEAR, values![user]).await?;
    for code in codes {
        tx.execute(PUT, values![user, code.0.as_slice(), now])
            .await?;
    }
    Ok(())
}

/// Replaces a user's recovery codes, used and unused.
#[derive(Debug)]
pub struct ReplaceRecoveryCodes {
    /// Whose.
    pub user_id: UserId,
    /// The new ones.
    pub codes: Vec<RecoveryDigest>,
    /// Tells the user.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ReplaceRecoveryCodes {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        replace(tx, &self.user_id, &self.codes, self.context.at).await?;
        if let Some(mail) = &self.mail {
            tx.mail(mail, self.context.at).await?;
        }
        let event = AuditEvent::new("mfa.recovery_codes_replaced").user(&self.user_id);
        tx.audit(&self.context, event);
        Ok(())
    }
}

/// Uses a recovery code.
#[derive(Debug)]
pub struct UseRecoveryCode {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub code: RecoveryDigest,
    /// Tells the user.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for UseRecoveryCode {
    /// How many are left; `None` for a code that is unknown, another user's, or used.
    type Outcome = Option<i64>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<i64>, StoreError> {
        const USE: &str = "UPDATE recovery_codes SET used_at = $1
            WHERE user_id = $2 AND digest = $3 AND used_at IS NULL";
        let row = values![self.context.at, &self.user_id, self.code.0.as_slice()];
        if !tx.won(USE, row).await? {
            return Ok(None);
        }
        forgive(tx, &self.user_id).await?;
        let left = left(tx, &self.user_id).await?;
        if let Some(mail) = &self.mail {
            tx.mail(mail, self.context.at).await?;
        }
        let event = AuditEvent::new("mfa.recovery_code_used").user(&self.user_id);
        tx.audit(&self.context, event.field("left", left));
        Ok(Some(left))
    }
}
