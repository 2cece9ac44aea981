//! Sessions: one sign-in of one user on one device. Whatever was granted in a session ends with it: its refresh
//! token families in the same transaction, its access tokens by a line in the feed of revocations.

use crate::{
    AuditContext, AuditEvent, Operation, OrganizationId, RefreshFamily, RevocationKind, Row,
    SessionId, Store, StoreError, Timestamp, Tx, UserId,
    refresh_family::{self, ended_event},
    revocation,
    tx::{FromRow, values},
};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The `sid` of its tokens.
    pub id: SessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// The organization its tokens speak of.
    pub org_id: Option<OrganizationId>,
    /// Where it was opened.
    pub ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When a token was last made in it.
    pub last_used_at: Timestamp,
    /// From this instant on it is over.
    pub expires_at: Timestamp,
    /// When it was ended before that.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub ended_reason: Option<String>,
}

impl Session {
    /// Whether it is neither ended nor over.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

// A rotation writes only its family, so the last use of a session is read from its families.
const COLUMNS: &str = "SELECT s.id, s.user_id, s.org_id, s.ip, s.user_agent, s.created_at,
    (SELECT COALESCE(max(f.rotated_at), s.last_used_at) FROM refresh_families AS f WHERE f.session_id = s.id),
    s.expires_at, s.ended_at, s.ended_reason FROM sessions AS s";

impl FromRow for Session {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            user_id: row.word(1)?,
            org_id: row.opt_word(2)?,
            ip: row.opt_text(3)?,
            user_agent: row.opt_text(4)?,
            created_at: row.time(5)?,
            last_used_at: row.time(6)?,
            expires_at: row.time(7)?,
            ended_at: row.opt_time(8)?,
            ended_reason: row.opt_text(9)?,
        })
    }
}

impl Store {
    /// The session with this id, live or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        const BY_ID: &str = const_str::concat!(COLUMNS, " WHERE s.id = $1");
        self.first(BY_ID, values![id]).await
    }

    /// A user's live sessions, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sessions_of(
        &self,
        user: &UserId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Session>, StoreError> {
        const LIVE: &str = const_str::concat!(
            COLUMNS,
            " WHERE s.user_id = $1 AND s.ended_at IS NULL AND s.expires_at > $2
            ORDER BY s.created_at DESC, s.id DESC LIMIT $3"
        );
        self.all(LIVE, values![user, now, limit]).await
    }
}

/// Opens a session for a user who has just proved who they are.
#[derive(Debug)]
pub struct OpenSession {
    /// A fresh UUIDv7.
    pub id: SessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// The organization its tokens speak of.
    pub org_id: Option<OrganizationId>,
    /// What the user signed in with.
    pub user_agent: Option<String>,
    /// When it is over.
    pub expires_at: Timestamp,
    /// Who asked, when, and from where.
    pub context: AuditContext,
}

impl Operation for OpenSession {
    /// Whether it was opened: not for a user who is unknown or was disabled in the meantime.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        // Writing the user's row first makes PostgreSQL run this before or after a `SetUserActive`, never beside it.
        const SIGN_IN: &str = "UPDATE users SET last_login_at = $1 WHERE id = $2 AND is_active = 1";
        const OPEN: &str = "INSERT INTO sessions
            (id, user_id, org_id, ip, user_agent, created_at, last_used_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $6, $7)";
        let now = self.context.at;
        if !tx.won(SIGN_IN, values![now, &self.user_id]).await? {
            return Ok(false);
        }
        let row = values![
            &self.id,
            &self.user_id,
            self.org_id.as_ref(),
            self.context.ip.as_ref(),
            self.user_agent.as_ref(),
            now,
            self.expires_at,
        ];
        tx.execute(OPEN, row).await?;
        let mut event = AuditEvent::new("login_success")
            .user(&self.user_id)
            .grant(&self.id);
        event.org_id = self.org_id.as_ref().map(ToString::to_string);
        tx.audit(&self.context, event);
        Ok(true)
    }
}

/// How many sessions and refresh token families an operation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionsEnded {
    /// Sessions.
    pub sessions: u64,
    /// Refresh token families, of those sessions or without one.
    pub families: u64,
}

/// What the ending of sessions has in common, whatever is the cause.
pub(crate) struct Ending<'a> {
    pub(crate) reason: &'static str,
    pub(crate) revoked_until: Timestamp,
    pub(crate) context: &'a AuditContext,
}

impl Ending<'_> {
    /// Each ended session and family has its own line: whoever asks why somebody was signed out asks for one of them.
    fn audit(&self, tx: &mut Tx<'_>, user: &str, sessions: &[String], families: &[RefreshFamily]) {
        for session in sessions {
            let event = AuditEvent::new("session_ended").user(user).grant(session);
            tx.audit(self.context, event.field("reason", self.reason));
        }
        for family in families {
            tx.audit(self.context, ended_event(family, self.reason));
        }
    }

    fn feed(&self, kind: RevocationKind) -> revocation::Feed {
        revocation::Feed {
            kind,
            revoked_at: self.context.at,
            expires_at: self.revoked_until,
        }
    }
}

/// Ends one session.
#[derive(Debug)]
pub struct EndSession {
    /// Which one.
    pub id: SessionId,
    /// Whose it must be; `None` when the caller may end anybody's.
    pub user_id: Option<UserId>,
    /// The audit log's word for why.
    pub reason: &'static str,
    /// When the last access token made in it has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for EndSession {
    /// What ended; nothing if there was no such live session.
    type Outcome = SessionsEnded;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<SessionsEnded, StoreError> {
        const END: &str = "UPDATE sessions SET ended_at = $1, ended_reason = $2
            WHERE id = $3 AND ended_at IS NULL AND ($4 = '' OR user_id = $4) RETURNING user_id";
        const END_FAMILIES: &str = const_str::concat!(
            "UPDATE refresh_families SET revoked_at = $1, revoked_reason = $2
            WHERE session_id = $3 AND revoked_at IS NULL RETURNING ",
            refresh_family::COLUMNS
        );
        let owner = self.user_id.as_ref().map_or("", UserId::as_str);
        let row = values![self.context.at, self.reason, &self.id, owner];
        let Some(user): Option<String> = tx.first(END, row).await? else {
            return Ok(SessionsEnded::default());
        };
        let row = values![self.context.at, self.reason, &self.id];
        let families: Vec<RefreshFamily> = tx.all(END_FAMILIES, row).await?;
        let ending = Ending {
            reason: self.reason,
            revoked_until: self.revoked_until,
            context: &self.context,
        };
        let subject = [self.id.to_string()];
        revocation::publish(tx, &ending.feed(RevocationKind::Session), &subject).await?;
        ending.audit(tx, &user, &subject, &families);
        Ok(SessionsEnded {
            sessions: 1,
            families: families.len() as u64,
        })
    }
}

/// Ends every session of a user, and every refresh token family, but for one session.
#[derive(Debug)]
pub struct EndSessionsOf {
    /// Whose.
    pub user_id: UserId,
    /// The session that goes on.
    pub except: Option<SessionId>,
    /// The audit log's word for why.
    pub reason: &'static str,
    /// When the last access token made in them has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for EndSessionsOf {
    type Outcome = SessionsEnded;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<SessionsEnded, StoreError> {
        let ending = Ending {
            reason: self.reason,
            revoked_until: self.revoked_until,
            context: &self.context,
        };
        let ended = end_of_user(tx, &self.user_id, self.except.as_ref(), &ending).await?;
        let event = AuditEvent::new("sessions_ended")
            .user(&self.user_id)
            .field("reason", self.reason)
            .field("sessions", ended.sessions)
            .field("families", ended.families);
        tx.audit(&self.context, event);
        Ok(ended)
    }
}

/// Ends a user's sessions and families and tells the feed of each, so that a session opened later in the same
/// second is not mistaken for one of them.
pub(crate) async fn end_of_user(
    tx: &mut Tx<'_>,
    user: &UserId,
    except: Option<&SessionId>,
    ending: &Ending<'_>,
) -> Result<SessionsEnded, StoreError> {
    let (sessions, families) = end_rows(tx, user, except, ending).await?;
    let ended = SessionsEnded {
        sessions: sessions.len() as u64,
        families: families.len() as u64,
    };
    // The tokens of a family that belongs to a session are refused with the session.
    let alone = families.iter().filter(|family| family.session_id.is_none());
    let alone: Vec<String> = alone.map(|family| family.id.to_string()).collect();
    revocation::publish(tx, &ending.feed(RevocationKind::Session), &sessions).await?;
    revocation::publish(tx, &ending.feed(RevocationKind::Grant), &alone).await?;
    Ok(ended)
}

/// Ends a user's sessions and families and refuses every token about the user issued up to now.
pub(crate) async fn end_everything_of_user(
    tx: &mut Tx<'_>,
    user: &UserId,
    ending: &Ending<'_>,
) -> Result<(), StoreError> {
    end_rows(tx, user, None, ending).await?;
    let subject = [user.to_string()];
    revocation::publish(tx, &ending.feed(RevocationKind::User), &subject).await
}

/// The ended sessions and families.
async fn end_rows(
    tx: &mut Tx<'_>,
    user: &UserId,
    except: Option<&SessionId>,
    ending: &Ending<'_>,
) -> Result<(Vec<String>, Vec<RefreshFamily>), StoreError> {
    const END: &str = "UPDATE sessions SET ended_at = $1, ended_reason = $2
        WHERE user_id = $3 AND ended_at IS NULL AND id <> $4 RETURNING id";
    const END_FAMILIES: &str = const_str::concat!(
        "UPDATE refresh_families SET revoked_at = $1, revoked_reason = $2
        WHERE user_id = $3 AND revoked_at IS NULL AND COALESCE(session_id, '') <> $4 RETURNING ",
        refresh_family::COLUMNS
    );
    let except = except.map_or("-", SessionId::as_str);
    let row = values![ending.context.at, ending.reason, user, except];
    let sessions: Vec<String> = tx.all(END, row).await?;
    let families: Vec<RefreshFamily> = tx.all(END_FAMILIES, row).await?;
    ending.audit(tx, user.as_str(), &sessions, &families);
    Ok((sessions, families))
}
