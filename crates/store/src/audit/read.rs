//! Reading the audit log: by page, by user, by token family, the newest.

use super::STREAM_SHIFT;
use crate::{
    Row, Store, StoreError, Timestamp,
    tx::{FromRow, values},
};

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// The stream it belongs to.
    pub stream: i64,
    /// Its number in the stream, from 1.
    pub seq: i64,
    /// The instant of the request that caused it.
    pub at: Timestamp,
    /// The event's word.
    pub event: String,
    /// The user it is about.
    pub user_id: Option<String>,
    /// The token family or session it belongs to.
    pub grant_id: Option<String>,
    /// The whole line: a JSON object of strings.
    pub body: String,
    /// Hash of the chain up to here.
    pub hash: Vec<u8>,
}

pub(super) const COLUMNS: &str =
    "SELECT id, at, event, user_id, grant_id, body, hash FROM audit_log";

impl FromRow for AuditRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let id = row.int(0)?;
        Ok(Self {
            stream: id.div_euclid(STREAM_SHIFT),
            seq: id.rem_euclid(STREAM_SHIFT),
            at: row.time(1)?,
            event: row.text(2)?,
            user_id: row.opt_text(3)?,
            grant_id: row.opt_text(4)?,
            body: row.text(5)?,
            hash: row.bytes(6)?,
        })
    }
}

impl AuditRecord {
    /// The record's place in the whole log: the cursor of [`AuditPage`].
    pub fn id(&self) -> i64 {
        self.stream * STREAM_SHIFT + self.seq
    }

    /// Whether the indexed columns say what the hashed text says.
    pub(super) fn columns_match(&self) -> bool {
        let Ok(body) = serde_json::from_str::<serde_json::Value>(&self.body) else {
            return false;
        };
        let member = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
        member("event") == Some(&self.event)
            && member("at") == Some(&self.at.to_string())
            && member("user_id") == self.user_id.as_deref()
            && member("grant_id") == self.grant_id.as_deref()
    }
}

/// Which lines to read: at most `limit` of them with ids above `after`.
#[derive(Clone, Copy, Debug)]
pub struct AuditPage {
    /// The last id already seen; 0 to begin.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

impl Store {
    /// A page of the log in chain order (stream by stream).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_page(&self, page: AuditPage) -> Result<Vec<AuditRecord>, StoreError> {
        const PAGE: &str = const_str::concat!(COLUMNS, " WHERE id > $1 ORDER BY id LIMIT $2");
        self.settle_journal().await?;
        self.all(PAGE, values![page.after, page.limit]).await
    }

    /// The newest lines about a user, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_of_user(
        &self,
        user_id: &str,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const OF_USER: &str =
            const_str::concat!(COLUMNS, " WHERE user_id = $1 ORDER BY at DESC LIMIT $2");
        self.settle_journal().await?;
        self.all(OF_USER, values![user_id, limit]).await
    }

    /// Lines about a user before an instant, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_of_user_before(
        &self,
        user_id: &str,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const OF_USER: &str = const_str::concat!(
            COLUMNS,
            " WHERE user_id = $1 AND at < $2 ORDER BY at DESC LIMIT $3"
        );
        self.settle_journal().await?;
        self.all(OF_USER, values![user_id, before, limit]).await
    }

    /// Every line of a token family or session, oldest first: its timeline.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_of_grant(
        &self,
        grant_id: &str,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const OF_GRANT: &str =
            const_str::concat!(COLUMNS, " WHERE grant_id = $1 ORDER BY at, id LIMIT $2");
        self.settle_journal().await?;
        self.all(OF_GRANT, values![grant_id, limit]).await
    }

    /// The newest lines of the whole log, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_newest(&self, limit: i64) -> Result<Vec<AuditRecord>, StoreError> {
        const ONE_STREAM: &str = const_str::concat!(COLUMNS, " ORDER BY id DESC LIMIT $1");
        // The ends of all streams, merged: each is found by the primary key.
        const STREAMS: &str = "SELECT l.id, l.at, l.event, l.user_id, l.grant_id, l.body, l.hash
            FROM audit_heads AS h CROSS JOIN LATERAL (SELECT * FROM audit_log AS of_stream
                WHERE of_stream.id > h.stream * 1099511627776 AND of_stream.id < (h.stream + 1) * 1099511627776
                ORDER BY of_stream.id DESC LIMIT $1) AS l
            ORDER BY l.at DESC, l.id DESC LIMIT $1";
        self.settle_journal().await?;
        let sql = self.by_engine(ONE_STREAM, STREAMS);
        self.all(sql, values![limit]).await
    }
}
