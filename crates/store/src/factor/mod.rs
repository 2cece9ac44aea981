//! Second factors of users: authenticator apps (RFC 6238), passkeys and recovery codes. What may be used once is used
//! up in the WHERE clause of the write. How often somebody guessed wrong is kept with the user, not with a sign-in.

mod attempt;
mod passkey;
mod recovery_code;
mod rule;
mod totp;

use crate::{
    Operation, OrganizationId, Row, Store, StoreError, Timestamp, Tx, UserId,
    tx::{FromRow, values},
};

pub use attempt::{FactorAttempt, TakeFactorAttempt};
pub use passkey::{AddPasskey, Passkey, PasskeyAddition, RemovePasskey, RenamePasskey, UsePasskey};
pub use recovery_code::{RecoveryDigest, ReplaceRecoveryCodes, UseRecoveryCode};
pub use rule::{FactorRule, FactorRuleSubject, SetFactorRule};
pub use totp::{ConfirmTotp, PutTotp, RemoveTotp, Totp, TotpConfirmation, UseTotpStep};

/// What a user has beside a password, and whether a sign-in needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecondFactors {
    /// Whether there is a confirmed authenticator app.
    pub totp: bool,
    /// How many passkeys there are.
    pub passkeys: i64,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
    /// Whether a rule asks for a second factor of this user, role or organization.
    pub is_required: bool,
}

impl SecondFactors {
    /// Whether there is one to ask for. Recovery codes stand in for another factor and are none themselves.
    pub fn exist(&self) -> bool {
        self.totp || self.passkeys > 0
    }
}

impl FromRow for SecondFactors {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            totp: row.int(0)? > 0,
            passkeys: row.int(1)?,
            recovery_codes: row.int(2)?,
            is_required: row.int(3)? > 0,
        })
    }
}

impl Store {
    /// What this user has beside a password, and whether a sign-in to this organization needs it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn second_factors(
        &self,
        user: &UserId,
        org: Option<&OrganizationId>,
    ) -> Result<SecondFactors, StoreError> {
        const SQLITE: &str = const_str::concat!(
            FACTORS,
            "(SELECT value FROM json_each(u.roles))",
            FACTORS_TAIL
        );
        const POSTGRES: &str = const_str::concat!(
            FACTORS,
            "(SELECT jsonb_array_elements_text(u.roles::jsonb))",
            FACTORS_TAIL
        );
        let sql = self.by_engine(SQLITE, POSTGRES);
        let found = self.first(sql, values![org, user]).await?;
        Ok(found.unwrap_or_default())
    }
}

const FACTORS: &str = "SELECT
    (SELECT count(*) FROM totp_credentials AS t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL),
    (SELECT count(*) FROM passkeys AS p WHERE p.user_id = u.id),
    (SELECT count(*) FROM recovery_codes AS r WHERE r.user_id = u.id AND r.used_at IS NULL),
    (SELECT count(*) FROM factor_rules AS f WHERE (f.kind = 'user' AND f.subject = u.id)
        OR (f.kind = 'organization' AND f.subject = COALESCE($1, ''))
        OR (f.kind = 'role' AND (f.subject IN ";
const FACTORS_TAIL: &str = "
            OR f.subject IN (SELECT m.role FROM memberships AS m WHERE m.user_id = u.id AND m.org_id = COALESCE($1, '')))))
    FROM users AS u WHERE u.id = $2";

/// Whatever rests on a second factor goes with the last one: recovery codes and remembered devices.
async fn forget_if_last(tx: &mut Tx<'_>, user: &UserId) -> Result<(), StoreError> {
    const NONE: &str = "NOT EXISTS (SELECT 1 FROM totp_credentials AS t
            WHERE t.user_id = $1 AND t.confirmed_at IS NOT NULL)
        AND NOT EXISTS (SELECT 1 FROM passkeys AS p WHERE p.user_id = $1)";
    const CODES: &str =
        const_str::concat!("DELETE FROM recovery_codes WHERE user_id = $1 AND ", NONE);
    const DEVICES: &str = const_str::concat!(
        "DELETE FROM remembered_devices WHERE user_id = $1 AND ",
        NONE
    );
    tx.execute(CODES, values![user]).await?;
    tx.execute(DEVICES, values![user]).await.map(drop)
}

/// A right answer ends the count of wrong ones.
async fn forgive(tx: &mut Tx<'_>, user: &UserId) -> Result<(), StoreError> {
    const FORGIVE: &str = "DELETE FROM factor_failures WHERE user_id = $1";
    tx.execute(FORGIVE, values![user]).await.map(drop)
}
