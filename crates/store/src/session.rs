//! Sessions: one sign-in of one user on one device. Whatever was granted in a session ends with it: its refresh
//! token families in the same transaction, its access tokens by a line in the feed of revocations.

use std::time::Duration;

use crate::{
    AuditContext, AuditEvent, Authentication, Durability, Mail, Operation, OrganizationId,
    RefreshFamily, RevocationKind, Row, SessionId, Store, StoreError, Timestamp, Tx, UserId,
    client::json,
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
    /// What people call that: a browser and a system.
    pub device: String,
    /// How the user last proved who they are in it.
    pub authentication: Authentication,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When a token was last made in it, or a page shown.
    pub last_used_at: Timestamp,
    /// From this instant on it is over, however busy.
    pub expires_at: Timestamp,
    /// How long it may rest unused.
    pub idle: Option<Duration>,
    /// When it was ended before that.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub ended_reason: Option<String>,
}

impl Session {
    /// Whether it is neither ended nor over.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let is_idle = self
            .idle
            .is_some_and(|idle| self.last_used_at + idle <= now);
        self.ended_at.is_none() && now < self.expires_at && !is_idle
    }
}

// A rotation writes only its family, so the last use of a session is read from its families.
const COLUMNS: &str = "SELECT s.id, s.user_id, s.org_id, s.ip, s.user_agent, s.created_at,
    (SELECT COALESCE(max(f.rotated_at), 0) FROM refresh_families AS f WHERE f.session_id = s.id),
    s.expires_at, s.ended_at, s.ended_reason, s.level, s.methods, COALESCE(s.authenticated_at, s.created_at),
    s.device, s.idle_millis, s.last_used_at FROM sessions AS s";

/// The condition under which the session `s` is live at the instant that this parameter holds.
macro_rules! live {
    ($now:literal) => {
        concat!(
            "s.ended_at IS NULL AND s.expires_at > ",
            $now,
            " AND (s.idle_millis IS NULL OR s.last_used_at + s.idle_millis > ",
            $now,
            " OR EXISTS (SELECT 1 FROM refresh_families AS f
                WHERE f.session_id = s.id AND f.rotated_at + s.idle_millis > ",
            $now,
            "))"
        )
    };
}
pub(crate) use live;

impl FromRow for Session {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            user_id: row.word(1)?,
            org_id: row.opt_word(2)?,
            ip: row.opt_text(3)?,
            user_agent: row.opt_text(4)?,
            created_at: row.time(5)?,
            last_used_at: row.time(6)?.max(row.time(15)?),
            expires_at: row.time(7)?,
            ended_at: row.opt_time(8)?,
            ended_reason: row.opt_text(9)?,
            authentication: Authentication::read(row, 10)?,
            device: row.text(13)?,
            idle: row
                .opt_int(14)?
                .map(|millis| Duration::from_millis(millis.unsigned_abs())),
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
            " WHERE s.user_id = $1 AND ",
            live!("$2"),
            " ORDER BY s.created_at DESC, s.id DESC LIMIT $3"
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
    /// What people call that.
    pub device: String,
    /// How the user proved who they are.
    pub authentication: Authentication,
    /// When it is over, however busy.
    pub expires_at: Timestamp,
    /// How long it may rest unused.
    pub idle: Option<Duration>,
    /// Tells the user, if the device is new.
    pub mail_of_new_device: Option<Mail>,
    /// Who asked, when, and from where.
    pub context: AuditContext,
}

/// What became of a session that was to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionOpening {
    /// It is open.
    Opened {
        /// Whether the user has signed in before, but never on such a device, as far as is remembered.
        is_new_device: bool,
    },
    /// The user is unknown, or was disabled in the meantime.
    Refused,
}

impl Operation for OpenSession {
    type Outcome = SessionOpening;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<SessionOpening, StoreError> {
        // Writing the user's row first makes PostgreSQL run this before or after a `SetUserActive`, never beside it.
        const SIGN_IN: &str = "UPDATE users SET last_login_at = $1 WHERE id = $2 AND is_active = 1";
        const OPEN: &str =
            "INSERT INTO sessions (id, user_id, org_id, ip, user_agent, created_at, last_used_at,
            expires_at, level, methods, authenticated_at, device, idle_millis)
            VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11, $12)";
        let now = self.context.at;
        if !tx.won(SIGN_IN, values![now, &self.user_id]).await? {
            return Ok(SessionOpening::Refused);
        }
        let is_new_device = self.is_new_device(tx).await?;
        let methods = json(&self.authentication.methods)?;
        let row = values![
            &self.id,
            &self.user_id,
            self.org_id.as_ref(),
            self.context.ip.as_ref(),
            self.user_agent.as_ref(),
            now,
            self.expires_at,
            self.authentication.level.as_str(),
            &methods,
            self.authentication.at,
            &self.device,
            self.idle.map(millis),
        ];
        tx.execute(OPEN, row).await?;
        if let Some(mail) = self.mail_of_new_device.as_ref().filter(|_| is_new_device) {
            tx.mail(mail, now).await?;
        }
        tx.audit(&self.context, self.event(is_new_device));
        Ok(SessionOpening::Opened { is_new_device })
    }
}

impl OpenSession {
    async fn is_new_device(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const KNOWN: &str = "SELECT id FROM sessions WHERE user_id = $1 AND device = $2 LIMIT 1";
        const ANY: &str = "SELECT id FROM sessions WHERE user_id = $1 LIMIT 1";
        let known: Option<String> = tx
            .first(KNOWN, values![&self.user_id, &self.device])
            .await?;
        if known.is_some() {
            return Ok(false);
        }
        let any: Option<String> = tx.first(ANY, values![&self.user_id]).await?;
        Ok(any.is_some())
    }

    fn event(&self, is_new_device: bool) -> AuditEvent {
        let mut event = AuditEvent::new("login_success")
            .user(&self.user_id)
            .grant(&self.id)
            .field("amr", self.authentication.methods.join(" "))
            .field("device", &self.device);
        if is_new_device {
            event = event.field("new_device", true);
        }
        event.org_id = self.org_id.as_ref().map(ToString::to_string);
        event
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Notes that a session was used where no token was made, at most once a minute. What it did has its own line.
#[derive(Debug)]
pub struct TouchSession {
    /// Which one.
    pub id: SessionId,
    /// The instant.
    pub now: Timestamp,
}

impl Operation for TouchSession {
    /// Whether it was written: not in the minute after the last time, nor for a session that is over.
    type Outcome = bool;

    fn durability(&self) -> Durability {
        Durability::CrashSafe
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const TOUCH: &str = "UPDATE sessions SET last_used_at = $1
            WHERE id = $2 AND ended_at IS NULL AND expires_at > $1 AND last_used_at < $3";
        let before = self.now - Duration::from_secs(60);
        tx.won(TOUCH, values![self.now, &self.id, before]).await
    }
}

/// Notes that the user proved in a session, once more, who they are.
#[derive(Debug)]
pub struct RenewAuthentication {
    /// Which session.
    pub id: SessionId,
    /// How.
    pub authentication: Authentication,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RenewAuthentication {
    /// Whether the session was still there.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const RENEW: &str =
            "UPDATE sessions SET level = $1, methods = $2, authenticated_at = $3, last_used_at = $3
            WHERE id = $4 AND ended_at IS NULL AND expires_at > $3 RETURNING user_id";
        let proved = &self.authentication;
        let methods = json(&proved.methods)?;
        let row = values![proved.level.as_str(), &methods, proved.at, &self.id];
        let Some(user): Option<String> = tx.first(RENEW, row).await? else {
            return Ok(false);
        };
        let event = AuditEvent::new("reauthenticated")
            .user(user)
            .grant(&self.id)
            .field("amr", proved.methods.join(" "));
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
