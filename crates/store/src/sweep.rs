//! Removal of what is over, in batches, outside the request path. It takes nothing away from anybody, so it writes
//! no audit line.

use crate::{Durability, Operation, StoreError, Timestamp, Tx, tx::values};

/// What is swept. Each has an index on the instant it goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Lines of the feed that expired before the instant.
    Revocations,
    /// Sessions that were over, by time, before the instant.
    Sessions,
    /// Refresh token families that were over, by time, before the instant.
    RefreshFamilies,
    /// Refresh token families that were ended before the instant.
    EndedRefreshFamilies,
    /// Used identifiers whose carriers expired before the instant.
    UsedJtis,
    /// Invitations that expired before the instant.
    Invitations,
    /// API keys that expired before the instant.
    ApiKeys,
    /// Mail, sent or not, that was worth nothing any more before the instant.
    Mail,
    /// Sign-ins that waited for their second half until before the instant.
    PendingSignIns,
    /// Devices that were remembered until before the instant.
    RememberedDevices,
    /// Proofs of addresses that ended before the instant.
    AccountProofs,
}

impl Expired {
    /// Everything there is to sweep.
    pub const ALL: [Self; 11] = [
        Self::Revocations,
        Self::Sessions,
        Self::RefreshFamilies,
        Self::EndedRefreshFamilies,
        Self::UsedJtis,
        Self::Invitations,
        Self::ApiKeys,
        Self::Mail,
        Self::PendingSignIns,
        Self::RememberedDevices,
        Self::AccountProofs,
    ];
}

/// Removes at most `limit` rows. As long as that many are removed, call again.
#[derive(Debug)]
pub struct Sweep {
    /// What.
    pub expired: Expired,
    /// Only what was over before this instant.
    pub before: Timestamp,
    /// At most so many.
    pub limit: i64,
}

impl Operation for Sweep {
    /// How many rows were removed.
    type Outcome = u64;

    fn durability(&self) -> Durability {
        Durability::CrashSafe
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        const REVOCATIONS: &str = "DELETE FROM revocations WHERE id IN
            (SELECT id FROM revocations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const SESSIONS: &str = "DELETE FROM sessions WHERE id IN
            (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const FAMILIES: &str = "DELETE FROM refresh_families WHERE id IN
            (SELECT id FROM refresh_families WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const ENDED: &str = "DELETE FROM refresh_families WHERE id IN
            (SELECT id FROM refresh_families WHERE revoked_at < $1 ORDER BY revoked_at LIMIT $2)";
        const INVITATIONS: &str = "DELETE FROM invitations WHERE id IN
            (SELECT id FROM invitations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const API_KEYS: &str = "DELETE FROM api_keys WHERE id IN
            (SELECT id FROM api_keys WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const JTIS_SQLITE: &str = "DELETE FROM used_jtis WHERE rowid IN
            (SELECT rowid FROM used_jtis WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const JTIS_POSTGRES: &str = "DELETE FROM used_jtis WHERE (kind, digest) IN
            (SELECT kind, digest FROM used_jtis WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const MAIL: &str = "DELETE FROM outbox WHERE id IN
            (SELECT id FROM outbox WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const PENDING: &str = "DELETE FROM pending_sign_ins WHERE digest IN
            (SELECT digest FROM pending_sign_ins WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const DEVICES: &str = "DELETE FROM remembered_devices WHERE digest IN
            (SELECT digest FROM remembered_devices WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const PROOFS_SQLITE: &str = "DELETE FROM account_proofs WHERE rowid IN
            (SELECT rowid FROM account_proofs WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        const PROOFS_POSTGRES: &str = "DELETE FROM account_proofs WHERE (user_id, kind) IN
            (SELECT user_id, kind FROM account_proofs WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        let sql = match self.expired {
            Expired::Revocations => REVOCATIONS,
            Expired::Sessions => SESSIONS,
            Expired::RefreshFamilies => FAMILIES,
            Expired::EndedRefreshFamilies => ENDED,
            Expired::Invitations => INVITATIONS,
            Expired::ApiKeys => API_KEYS,
            Expired::UsedJtis => tx.by_engine(JTIS_SQLITE, JTIS_POSTGRES),
            Expired::Mail => MAIL,
            Expired::PendingSignIns => PENDING,
            Expired::RememberedDevices => DEVICES,
            Expired::AccountProofs => tx.by_engine(PROOFS_SQLITE, PROOFS_POSTGRES),
        };
        tx.execute(sql, values![self.before, self.limit]).await
    }
}
