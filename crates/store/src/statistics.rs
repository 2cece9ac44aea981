//! How many records there are of what administrators ask about. Each count reads one table or index to its end, so the
//! caller keeps an answer for a while.

use crate::{
    Row, Store, StoreError, Timestamp,
    tx::{FromRow, values},
};

/// Counts of users, sessions and refresh token families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Users, active or not.
    pub users: i64,
    /// Users who may sign in.
    pub active_users: i64,
    /// Sessions that are not over.
    pub live_sessions: i64,
    /// Refresh token families of which a token may be presented.
    pub live_families: i64,
    /// Refresh token families that were ended, as long as they are kept.
    pub ended_families: i64,
}

impl FromRow for Totals {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            users: row.int(0)?,
            active_users: row.int(1)?,
            live_sessions: row.int(2)?,
            live_families: row.int(3)?,
            ended_families: row.int(4)?,
        })
    }
}

impl Store {
    /// The counts at an instant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn totals(&self, now: Timestamp) -> Result<Totals, StoreError> {
        const TOTALS: &str = "SELECT (SELECT COUNT(*) FROM users),
            (SELECT COUNT(*) FROM users WHERE is_active = 1),
            (SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND expires_at > $1),
            (SELECT COUNT(*) FROM refresh_families WHERE revoked_at IS NULL AND expires_at > $1 AND idle_expires_at > $1),
            (SELECT COUNT(*) FROM refresh_families WHERE revoked_at IS NOT NULL)";
        let totals = self.first(TOTALS, values![now]).await?;
        totals.ok_or_else(|| StoreError::corrupt("a count has no row"))
    }
}
