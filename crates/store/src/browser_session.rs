//! The cookie of a browser session: kept as SHA-256, one a session, replaced whenever the browser proves more. What it
//! opens is an ordinary session, so whatever ends that ends the cookie.

use crate::{
    AuditContext, AuditEvent, Operation, Row, SessionId, Store, StoreError, Timestamp, Tx,
    session::live,
    tx::{FromRow, values},
};

/// SHA-256 of a cookie's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieDigest(pub [u8; 32]);

impl FromRow for SessionId {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.word(0)
    }
}

impl Store {
    /// The live session of an active user that this cookie opens.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn browser_session(
        &self,
        cookie: CookieDigest,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        const LIVE: &str = const_str::concat!(
            "SELECT s.id FROM browser_sessions AS b
            JOIN sessions AS s ON s.id = b.session_id JOIN users AS u ON u.id = s.user_id
            WHERE b.digest = $1 AND u.is_active = 1 AND ",
            live!("$2")
        );
        self.first(LIVE, values![cookie.0.as_slice(), now]).await
    }
}

/// Gives a session's browser a cookie, or another one for the one it has.
#[derive(Debug)]
pub struct SetBrowserCookie {
    /// The session.
    pub session_id: SessionId,
    /// The cookie it has; `None` for a session that has none.
    pub previous: Option<CookieDigest>,
    /// The cookie from now on.
    pub cookie: CookieDigest,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for SetBrowserCookie {
    /// Whether the session is live and had the previous cookie: of two who replace the same one, one wins.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const FIRST: &str = "INSERT INTO browser_sessions (session_id, digest)
            SELECT id, $1 FROM sessions WHERE id = $2 AND ended_at IS NULL AND expires_at > $3
            ON CONFLICT (session_id) DO NOTHING";
        const REPLACE: &str =
            "UPDATE browser_sessions SET digest = $1 WHERE session_id = $2 AND digest = $3
            AND EXISTS (SELECT 1 FROM sessions AS s
                WHERE s.id = session_id AND s.ended_at IS NULL AND s.expires_at > $4)";
        let (cookie, now) = (self.cookie.0.as_slice(), self.context.at);
        let won = match &self.previous {
            None => {
                tx.won(FIRST, values![cookie, &self.session_id, now])
                    .await?
            }
            Some(previous) => {
                let row = values![cookie, &self.session_id, previous.0.as_slice(), now];
                tx.won(REPLACE, row).await?
            }
        };
        if won {
            let event = AuditEvent::new("browser_session_set").grant(&self.session_id);
            tx.audit(&self.context, event);
        }
        Ok(won)
    }
}
