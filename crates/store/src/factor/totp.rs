//! Authenticator apps: one a user, its secret sealed, good for signing in once a code has confirmed it. A step of time
//! is used once: only a later one than the last is taken (RFC 6238 §5.2).

use super::{
    FromRow, Operation, RecoveryDigest, Row, Store, StoreError, Timestamp, Tx, UserId,
    forget_if_last, forgive, recovery_code, values,
};
use crate::{AuditContext, AuditEvent, Mail};

/// An authenticator app.
#[derive(Clone, Debug)]
pub struct Totp {
    /// Its secret, under the master key.
    pub sealed_secret: Vec<u8>,
    /// The newest step of time whose code was used.
    pub last_step: i64,
    /// When it was set up.
    pub created_at: Timestamp,
    /// When a code of it was first shown; `None` while it is good for nothing else.
    pub confirmed_at: Option<Timestamp>,
}

impl FromRow for Totp {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            sealed_secret: row.bytes(0)?,
            last_step: row.int(1)?,
            created_at: row.time(2)?,
            confirmed_at: row.opt_time(3)?,
        })
    }
}

impl Store {
    /// The authenticator app of this user, confirmed or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn totp(&self, user: &UserId) -> Result<Option<Totp>, StoreError> {
        const READ: &str =
            "SELECT sealed_secret, last_step, created_at, confirmed_at FROM totp_credentials
            WHERE user_id = $1";
        self.first(READ, values![user]).await
    }
}

/// Sets up an authenticator app, in place of one that was never confirmed.
#[derive(Debug)]
pub struct PutTotp {
    /// Whose.
    pub user_id: UserId,
    /// The secret, under the master key.
    pub sealed_secret: Vec<u8>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for PutTotp {
    /// Whether it was set up: not beside a confirmed one.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const PUT: &str = "INSERT INTO totp_credentials (user_id, sealed_secret, last_step, created_at)
            VALUES ($1, $2, 0, $3) ON CONFLICT (user_id) DO UPDATE
            SET sealed_secret = excluded.sealed_secret, last_step = 0, created_at = excluded.created_at
            WHERE totp_credentials.confirmed_at IS NULL";
        let row = values![&self.user_id, &self.sealed_secret, self.context.at];
        let won = tx.won(PUT, row).await?;
        if won {
            let event = AuditEvent::new("mfa.totp_set_up").user(&self.user_id);
            tx.audit(&self.context, event);
        }
        Ok(won)
    }
}

/// Confirms an authenticator app by a step whose code was right. A first factor brings recovery codes.
#[derive(Debug)]
pub struct ConfirmTotp {
    /// Whose.
    pub user_id: UserId,
    /// The secret the code was checked against.
    pub sealed_secret: Vec<u8>,
    /// The step of the code.
    pub step: i64,
    /// New recovery codes, written if the user has no unused one.
    pub recovery_codes: Vec<RecoveryDigest>,
    /// Tells the user.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotpConfirmation {
    /// It is good for signing in.
    Confirmed {
        /// Whether the recovery codes were written.
        with_recovery_codes: bool,
    },
    /// It was confirmed before, replaced or removed in the meantime.
    Refused,
}

impl Operation for ConfirmTotp {
    type Outcome = TotpConfirmation;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<TotpConfirmation, StoreError> {
        const CONFIRM: &str = "UPDATE totp_credentials SET confirmed_at = $1, last_step = $2
            WHERE user_id = $3 AND sealed_secret = $4 AND confirmed_at IS NULL AND last_step < $2";
        let now = self.context.at;
        let row = values![now, self.step, &self.user_id, &self.sealed_secret];
        if !tx.won(CONFIRM, row).await? {
            return Ok(TotpConfirmation::Refused);
        }
        forgive(tx, &self.user_id).await?;
        let codes = &self.recovery_codes;
        let with_recovery_codes = recovery_code::put_first(tx, &self.user_id, codes, now).await?;
        if let Some(mail) = &self.mail {
            tx.mail(mail, now).await?;
        }
        let event = AuditEvent::new("mfa.factor_added").user(&self.user_id);
        tx.audit(&self.context, event.field("factor", "totp"));
        Ok(TotpConfirmation::Confirmed {
            with_recovery_codes,
        })
    }
}

/// Uses a step of time whose code was right.
#[derive(Debug)]
pub struct UseTotpStep {
    /// Whose.
    pub user_id: UserId,
    /// The secret the code was checked against.
    pub sealed_secret: Vec<u8>,
    /// The step of the code.
    pub step: i64,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for UseTotpStep {
    /// Whether this was its first use.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const USE: &str = "UPDATE totp_credentials SET last_step = $1
            WHERE user_id = $2 AND sealed_secret = $3 AND confirmed_at IS NOT NULL AND last_step < $1";
        let row = values![self.step, &self.user_id, &self.sealed_secret];
        let won = tx.won(USE, row).await?;
        if won {
            forgive(tx, &self.user_id).await?;
        }
        let word = if won { "mfa.success" } else { "mfa.replay" };
        let event = AuditEvent::new(word).user(&self.user_id);
        tx.audit(&self.context, event.field("factor", "totp"));
        Ok(won)
    }
}

/// Removes an authenticator app.
#[derive(Debug)]
pub struct RemoveTotp {
    /// Whose.
    pub user_id: UserId,
    /// Tells the user.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RemoveTotp {
    /// Whether there was one.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM totp_credentials WHERE user_id = $1";
        if !tx.won(REMOVE, values![&self.user_id]).await? {
            return Ok(false);
        }
        forget_if_last(tx, &self.user_id).await?;
        if let Some(mail) = &self.mail {
            tx.mail(mail, self.context.at).await?;
        }
        let event = AuditEvent::new("mfa.factor_removed").user(&self.user_id);
        tx.audit(&self.context, event.field("factor", "totp"));
        Ok(true)
    }
}
