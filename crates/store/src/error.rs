//! The three ways a store can fail. Everything else a caller should expect is a value in an operation's outcome.

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is full, or its queue is full. Answer 503 with `Retry-After`.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Concurrent transactions kept colliding. Nothing was changed; the caller may try again.
    #[error("the store is contended: {0}")]
    Contended(String),
    /// The database holds something this program did not write, or a statement is wrong. Never retried.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
}

impl StoreError {
    pub(crate) fn corrupt(detail: impl std::fmt::Display) -> Self {
        Self::Corrupt(detail.to_string())
    }

    pub(crate) fn unavailable(detail: impl std::fmt::Display) -> Self {
        Self::Unavailable(detail.to_string())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::*;
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Contended(error.to_string()),
            Some(
                DiskFull | CannotOpen | ReadOnly | SystemIoFailure | OutOfMemory | PermissionDenied,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Corrupt(error.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return match std::error::Error::source(&error) {
                // A value of the wrong type is our own mistake or a foreign hand in the database, not an outage.
                Some(source) if source.is::<tokio_postgres::types::WrongType>() => {
                    Self::Corrupt(error.to_string())
                }
                _ => Self::Unavailable(error.to_string()),
            };
        };
        let detail = format!("{} ({})", db.message(), db.code().code());
        match db.code().code() {
            // 40001 and 40P01 serialisation and deadlock, 55P03 lock not available; 23503 and 23505: what a statement
            // had looked up was removed, or added by another, before it could write.
            "40001" | "40P01" | "55P03" | "23503" | "23505" => Self::Contended(detail),
            // Class 08 connection, 25006 read only, 53 resources, 57 operator intervention, 58 system error.
            code if ["08", "53", "57", "58"]
                .iter()
                .any(|class| code.starts_with(class))
                || code == "25006" =>
            {
                Self::Unavailable(detail)
            }
            _ => Self::Corrupt(detail),
        }
    }
}
