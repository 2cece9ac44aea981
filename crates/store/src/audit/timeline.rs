//! What the timeline of a token is read from: the lines of its family and session, and which families a session had.

use super::{AuditRecord, read::COLUMNS};
use crate::{FamilyId, Row, SessionId, Store, StoreError, tx::FromRow, tx::values};

impl FromRow for FamilyId {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.word(0)
    }
}

impl Store {
    /// The newest lines of a token family or session, newest first. For the oldest see [`Store::audit_of_grant`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn newest_audit_of_grant(
        &self,
        grant_id: &str,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const NEWEST: &str = const_str::concat!(
            COLUMNS,
            " WHERE grant_id = $1 ORDER BY at DESC, id DESC LIMIT $2"
        );
        self.all(NEWEST, values![grant_id, limit]).await
    }

    /// The refresh token families there were in a session of this user, swept ones included: by their rows, and by the
    /// lines that tell of their opening.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn families_in_session(
        &self,
        session: &SessionId,
        user_id: &str,
        limit: i64,
    ) -> Result<Vec<FamilyId>, StoreError> {
        const SQLITE: &str = "SELECT id FROM refresh_families WHERE session_id = $1
            UNION SELECT grant_id FROM audit_log WHERE user_id = $2 AND event = 'refresh_family_opened'
                AND instr(body, $3) > 0 ORDER BY 1 LIMIT $4";
        const POSTGRES: &str = "SELECT id FROM refresh_families WHERE session_id = $1
            UNION SELECT grant_id FROM audit_log WHERE user_id = $2 AND event = 'refresh_family_opened'
                AND strpos(body, $3) > 0 ORDER BY 1 LIMIT $4";
        let member = format!("\"session_id\":\"{session}\"");
        let sql = self.by_engine(SQLITE, POSTGRES);
        self.all(sql, values![session, user_id, &member, limit])
            .await
    }

    /// The lines that name a token by its `jti`, oldest first. It reads the whole log, so it is for operators alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_of_jti(
        &self,
        jti: &str,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        const SQLITE: &str = const_str::concat!(
            COLUMNS,
            " WHERE instr(body, $1) > 0 ORDER BY at, id LIMIT $2"
        );
        const POSTGRES: &str = const_str::concat!(
            COLUMNS,
            " WHERE strpos(body, $1) > 0 ORDER BY at, id LIMIT $2"
        );
        let member = format!("\"jti\":{}", crate::client::json(&jti)?);
        let sql = self.by_engine(SQLITE, POSTGRES);
        self.all(sql, values![&member, limit]).await
    }
}
