//! Lines that statistics and the search for attacks read: counted by day, or the newest of one kind. One partial index
//! serves both, and the lines of issued tokens, which are most of the log, are not in it.

use super::{AuditRecord, read::COLUMNS};
use crate::{
    Row, Store, StoreError, Timestamp,
    tx::{FromRow, values},
};

/// The kinds of event that are in the index.
pub const NOTED: [&str; 6] = [
    "login_success",
    "login_failure",
    "rate_limit_exceeded",
    "refresh_token_reuse",
    "suspicious_activity",
    "token_invalid",
];

/// In every statement as it is in the index, or SQLite does not see that the index serves.
const IS_NOTED: &str = "event IN ('login_success', 'login_failure',
    'rate_limit_exceeded', 'refresh_token_reuse', 'suspicious_activity', 'token_invalid')";

const DAY: i64 = 86_400_000;

/// How many events of one kind a day (UTC) had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayOfEvents {
    /// The day's first instant.
    pub day: Timestamp,
    /// The event's word.
    pub event: String,
    /// How many.
    pub count: i64,
}

impl FromRow for DayOfEvents {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            event: row.text(0)?,
            day: Timestamp::from_millis(row.int(1)? * DAY),
            count: row.int(2)?,
        })
    }
}

impl Store {
    /// Noted events by kind and day, from an instant on. The index alone is read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn noted_by_day(&self, since: Timestamp) -> Result<Vec<DayOfEvents>, StoreError> {
        const BY_DAY: &str = const_str::concat!(
            "SELECT event, at / 86400000, COUNT(*) FROM audit_log WHERE ",
            IS_NOTED,
            " AND at >= $1 GROUP BY event, at / 86400000 ORDER BY event, at / 86400000"
        );
        self.settle_journal().await?;
        self.all(BY_DAY, values![since]).await
    }

    /// The newest lines of a noted kind between two instants, newest first; the later instant is not among them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn noted(
        &self,
        event: &str,
        (since, until): (Timestamp, Timestamp),
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const OF_KIND: &str = const_str::concat!(
            COLUMNS,
            " WHERE event = $1 AND at >= $2 AND at < $3 AND ",
            IS_NOTED,
            " ORDER BY at DESC LIMIT $4"
        );
        self.settle_journal().await?;
        self.all(OF_KIND, values![event, since, until, limit]).await
    }
}
