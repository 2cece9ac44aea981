//! Passkeys (WebAuthn level 3 §4): public keys of authenticators, each under the name its user gave it.

use super::{
    FromRow, Operation, RecoveryDigest, Row, Store, StoreError, Timestamp, Tx, UserId,
    forget_if_last, forgive, recovery_code, values,
};
use crate::{AuditContext, AuditEvent, Mail, PasskeyId};

/// A passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Names it to its user.
    pub id: PasskeyId,
    /// Names it to its authenticator.
    pub credential_id: Vec<u8>,
    /// Whose.
    pub user_id: UserId,
    /// What its user calls it.
    pub name: String,
    /// The public key (COSE, RFC 9052 §7).
    pub public_key: Vec<u8>,
    /// The authenticator's count of signatures; 0 from one that does not count.
    pub sign_count: i64,
    /// Whether it is kept on more than one device.
    pub is_backed_up: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

const COLUMNS: &str =
    "SELECT p.id, p.credential_id, p.user_id, p.name, p.public_key, p.sign_count, p.is_backed_up,
    p.created_at, p.last_used_at FROM passkeys AS p";

impl FromRow for Passkey {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            credential_id: row.bytes(1)?,
            user_id: row.word(2)?,
            name: row.text(3)?,
            public_key: row.bytes(4)?,
            sign_count: row.int(5)?,
            is_backed_up: row.flag(6)?,
            created_at: row.time(7)?,
            last_used_at: row.opt_time(8)?,
        })
    }
}

impl Store {
    /// The passkeys of this user, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn passkeys(&self, user: &UserId) -> Result<Vec<Passkey>, StoreError> {
        const OF_USER: &str = const_str::concat!(
            COLUMNS,
            " WHERE p.user_id = $1 ORDER BY p.created_at, p.id LIMIT 100"
        );
        self.all(OF_USER, values![user]).await
    }

    /// The passkey that its authenticator names so.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn passkey(&self, credential_id: &[u8]) -> Result<Option<Passkey>, StoreError> {
        const BY_CREDENTIAL: &str = const_str::concat!(COLUMNS, " WHERE p.credential_id = $1");
        self.first(BY_CREDENTIAL, values![credential_id]).await
    }
}

/// Adds a passkey. A first factor brings recovery codes.
#[derive(Debug)]
pub struct AddPasskey {
    /// The passkey.
    pub passkey: Passkey,
    /// Most passkeys of one user.
    pub most: i64,
    /// New recovery codes, written if the user has no unused one.
    pub recovery_codes: Vec<RecoveryDigest>,
    /// Tells the user.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyAddition {
    /// It is there.
    Added {
        /// Whether the recovery codes were written.
        with_recovery_codes: bool,
    },
    /// It is somebody's already, or the user has as many as there may be.
    Refused,
}

impl Operation for AddPasskey {
    type Outcome = PasskeyAddition;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PasskeyAddition, StoreError> {
        const ADD: &str = "INSERT INTO passkeys (id, credential_id, user_id, name, public_key, sign_count, is_backed_up,
            created_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8
            WHERE (SELECT count(*) FROM passkeys AS p WHERE p.user_id = $3) < $9 ON CONFLICT DO NOTHING";
        let (passkey, now) = (&self.passkey, self.context.at);
        let row = values![
            &passkey.id,
            &passkey.credential_id,
            &passkey.user_id,
            &passkey.name,
            &passkey.public_key,
            passkey.sign_count,
            passkey.is_backed_up,
            now,
            self.most,
        ];
        if !tx.won(ADD, row).await? {
            return Ok(PasskeyAddition::Refused);
        }
        let codes = &self.recovery_codes;
        let with_recovery_codes =
            recovery_code::put_first(tx, &passkey.user_id, codes, now).await?;
        if let Some(mail) = &self.mail {
            tx.mail(mail, now).await?;
        }
        tx.audit(
            &self.context,
            event("mfa.factor_added", &passkey.user_id, &passkey.id),
        );
        Ok(PasskeyAddition::Added {
            with_recovery_codes,
        })
    }
}

/// Notes that a passkey signed. Its count must have risen, unless it does not count (WebAuthn level 3 §6.1.1).
#[derive(Debug)]
pub struct UsePasskey {
    /// Which.
    pub id: PasskeyId,
    /// Whose.
    pub user_id: UserId,
    /// What its authenticator says it counted.
    pub sign_count: i64,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for UsePasskey {
    /// Whether it may be believed: not when the count did not rise, which a copy of the key would show.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const USE: &str = "UPDATE passkeys SET sign_count = $1, last_used_at = $2
            WHERE id = $3 AND user_id = $4 AND (sign_count < $1 OR (sign_count = 0 AND $1 = 0))";
        let row = values![self.sign_count, self.context.at, &self.id, &self.user_id];
        let won = tx.won(USE, row).await?;
        if won {
            forgive(tx, &self.user_id).await?;
        }
        let word = if won { "mfa.success" } else { "mfa.replay" };
        tx.audit(&self.context, event(word, &self.user_id, &self.id));
        Ok(won)
    }
}

/// Gives a passkey another name.
#[derive(Debug)]
pub struct RenamePasskey {
    /// Which.
    pub id: PasskeyId,
    /// Whose.
    pub user_id: UserId,
    /// The name.
    pub name: String,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RenamePasskey {
    /// Whether the user has such a passkey.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const RENAME: &str = "UPDATE passkeys SET name = $1 WHERE id = $2 AND user_id = $3";
        let won = tx
            .won(RENAME, values![&self.name, &self.id, &self.user_id])
            .await?;
        if won {
            tx.audit(
                &self.context,
                event("mfa.passkey_renamed", &self.user_id, &self.id),
            );
        }
        Ok(won)
    }
}

/// Removes a passkey.
#[derive(Debug)]
pub struct RemovePasskey {
    /// Which.
    pub id: PasskeyId,
    /// Whose.
    pub user_id: UserId,
    /// Tells the user.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RemovePasskey {
    /// Whether the user had such a passkey.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM passkeys WHERE id = $1 AND user_id = $2";
        if !tx.won(REMOVE, values![&self.id, &self.user_id]).await? {
            return Ok(false);
        }
        forget_if_last(tx, &self.user_id).await?;
        if let Some(mail) = &self.mail {
            tx.mail(mail, self.context.at).await?;
        }
        tx.audit(
            &self.context,
            event("mfa.factor_removed", &self.user_id, &self.id),
        );
        Ok(true)
    }
}

fn event(word: &'static str, user: &UserId, passkey: &PasskeyId) -> AuditEvent {
    let event = AuditEvent::new(word).user(user).field("factor", "passkey");
    event.field("passkey_id", passkey)
}
