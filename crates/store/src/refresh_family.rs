//! Refresh token families: one row per family, opened in a session or for a client itself, ended by scope.
//! What becomes of their tokens is in `refresh_token.rs`.

use tokensmith_oauth2::{ClientId, Confirmation, Scope};

use crate::{
    AuditContext, AuditEvent, FamilyId, Operation, OrganizationId, RevocationKind, Row, SessionId,
    Store, StoreError, Timestamp, TokenNames, Tx, UserId,
    client::json,
    revocation,
    tx::{FromRow, values},
};

/// A refresh token family.
#[derive(Clone, Debug)]
pub struct RefreshFamily {
    /// The first part of its tokens.
    pub id: FamilyId,
    /// Names the root key of its tokens' secrets.
    pub root_key: String,
    /// The only client that may present them.
    pub client_id: ClientId,
    /// The user it was granted by; `None` for a client's own.
    pub user_id: Option<UserId>,
    /// The session it ends with.
    pub session_id: Option<SessionId>,
    /// The organization its tokens speak of.
    pub org_id: Option<OrganizationId>,
    /// What was granted.
    pub scope: Scope,
    /// For which resources (RFC 8707).
    pub resources: Vec<String>,
    /// The key its tokens are bound to, for good: every rotation must show it.
    pub confirmation: Option<Confirmation>,
    /// The generation of the newest token, from 1.
    pub generation: i64,
    /// When that token was made.
    pub rotated_at: Timestamp,
    /// When that token's access token was first seen in use.
    pub successor_used_at: Option<Timestamp>,
    /// `jti` of the access token made with the newest token.
    pub current_jti: Option<String>,
    /// When the family was opened.
    pub created_at: Timestamp,
    /// From this instant on it is over, however busy.
    pub expires_at: Timestamp,
    /// From this instant on it is over unless rotated before.
    pub idle_expires_at: Timestamp,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
    /// Why.
    pub revoked_reason: Option<String>,
}

impl RefreshFamily {
    /// Whether a token of it may still be presented.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at && now < self.idle_expires_at
    }

    /// What audit lines about it name.
    pub fn names(&self) -> TokenNames {
        TokenNames {
            user_id: self.user_id.as_ref().map(ToString::to_string),
            client_id: Some(self.client_id.to_string()),
            grant_id: Some(self.id.to_string()),
        }
    }
}

pub(crate) const COLUMNS: &str = "id, root_key, client_id, user_id, session_id, org_id, scope, resources, generation, rotated_at,
    successor_used_at, current_jti, created_at, expires_at, idle_expires_at, revoked_at, revoked_reason, cnf";
pub(crate) const BY_ID: &str =
    const_str::concat!("SELECT ", COLUMNS, " FROM refresh_families WHERE id = $1");

impl FromRow for RefreshFamily {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            root_key: row.text(1)?,
            client_id: row.word(2)?,
            user_id: row.opt_word(3)?,
            session_id: row.opt_word(4)?,
            org_id: row.opt_word(5)?,
            scope: row.word(6)?,
            resources: row.json(7)?,
            generation: row.int(8)?,
            rotated_at: row.time(9)?,
            successor_used_at: row.opt_time(10)?,
            current_jti: row.opt_text(11)?,
            created_at: row.time(12)?,
            expires_at: row.time(13)?,
            idle_expires_at: row.time(14)?,
            revoked_at: row.opt_time(15)?,
            revoked_reason: row.opt_text(16)?,
            confirmation: row.opt_word(17)?,
        })
    }
}

impl Store {
    /// The family with this id, live or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refresh_family(&self, id: &FamilyId) -> Result<Option<RefreshFamily>, StoreError> {
        self.first(BY_ID, values![id]).await
    }
}

/// Opens a family: its token of generation 1 is handed out once this is answered.
#[derive(Debug)]
pub struct OpenFamily {
    /// The family. Its state columns (generation, rotated, used, revoked) are set here, whatever they say.
    pub family: RefreshFamily,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for OpenFamily {
    /// Whether it was opened: not in a session that is over, nor for a user or a client that is disabled.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        // Writing the session's row first makes PostgreSQL run this before or after an `EndSession`, never beside it.
        const IN_SESSION: &str = "UPDATE sessions SET last_used_at = $1
            WHERE id = $2 AND user_id = $3 AND ended_at IS NULL AND expires_at > $1";
        const OPEN: &str = "INSERT INTO refresh_families (id, root_key, client_id, user_id, session_id, org_id, scope,
            resources, generation, rotated_at, current_jti, created_at, expires_at, idle_expires_at, cnf)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $9, $11, $12, $13
            WHERE EXISTS (SELECT 1 FROM clients AS c WHERE c.client_id = $3 AND c.is_active = 1)
                AND (COALESCE($4, '') = '' OR EXISTS (SELECT 1 FROM users AS u WHERE u.id = $4 AND u.is_active = 1))";
        let (family, now) = (&self.family, self.context.at);
        if let Some(session) = &family.session_id {
            let row = values![now, session, family.user_id.as_ref()];
            if !tx.won(IN_SESSION, row).await? {
                return Ok(false);
            }
        }
        let (scope, resources) = (family.scope.to_string(), json(&family.resources)?);
        let confirmation = family.confirmation.map(|cnf| cnf.to_string());
        let row = values![
            &family.id,
            &family.root_key,
            family.client_id.as_str(),
            family.user_id.as_ref(),
            family.session_id.as_ref(),
            family.org_id.as_ref(),
            &scope,
            &resources,
            now,
            family.current_jti.as_ref(),
            family.expires_at,
            family.idle_expires_at.min(family.expires_at),
            confirmation.as_ref(),
        ];
        let opened = tx.won(OPEN, row).await?;
        if opened {
            tx.audit(&self.context, self.event(&scope));
        }
        Ok(opened)
    }
}

impl OpenFamily {
    /// Says what the row says of the family's ends, because the line outlives the row.
    fn event(&self, scope: &str) -> AuditEvent {
        let family = &self.family;
        let mut event = about(family, "refresh_family_opened")
            .field("scope", scope)
            .field("expires_at", family.expires_at)
            .field(
                "idle_expires_at",
                family.idle_expires_at.min(family.expires_at),
            );
        if let Some(session) = &family.session_id {
            event = event.field("session_id", session);
        }
        event
    }
}

/// Which families to end.
#[derive(Clone, Debug)]
pub enum FamilyScope {
    /// One.
    Family(FamilyId),
    /// Those of a session, which itself goes on.
    Session(SessionId),
    /// Those a user granted.
    User(UserId),
    /// Those granted to a client.
    Client(ClientId),
    /// Those a user granted to a client.
    Grant(UserId, ClientId),
    /// Those that speak of an organization.
    Organization(OrganizationId),
}

/// Ends families: at most [`EndFamilies::BATCH`] at a time. As long as that many ended, call again.
#[derive(Debug)]
pub struct EndFamilies {
    /// Which ones.
    pub scope: FamilyScope,
    /// The audit log's word for why.
    pub reason: &'static str,
    /// When the last access token of them has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl EndFamilies {
    /// Families that one operation ends at most.
    pub const BATCH: u64 = 500;
}

impl Operation for EndFamilies {
    /// How many ended.
    type Outcome = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        let ended = end_scope(tx, &self.scope, self.context.at, self.reason).await?;
        publish_end(tx, &ended, self.context.at, self.revoked_until).await?;
        for family in &ended {
            tx.audit(&self.context, ended_event(family, self.reason));
        }
        Ok(ended.len() as u64)
    }
}

const END: &str = "UPDATE refresh_families SET revoked_at = $1, revoked_reason = $2 WHERE id IN
    (SELECT id FROM refresh_families WHERE revoked_at IS NULL AND ";
const END_TAIL: &str = const_str::concat!(" LIMIT 500) AND revoked_at IS NULL RETURNING ", COLUMNS);

async fn end_scope(
    tx: &mut Tx<'_>,
    scope: &FamilyScope,
    now: Timestamp,
    reason: &'static str,
) -> Result<Vec<RefreshFamily>, StoreError> {
    const BY_FAMILY: &str = const_str::concat!(END, "id = $3", END_TAIL);
    const BY_SESSION: &str = const_str::concat!(END, "session_id = $3", END_TAIL);
    const BY_USER: &str = const_str::concat!(END, "user_id = $3", END_TAIL);
    const BY_CLIENT: &str = const_str::concat!(END, "client_id = $3", END_TAIL);
    const BY_GRANT: &str = const_str::concat!(END, "user_id = $3 AND client_id = $4", END_TAIL);
    const BY_ORG: &str = const_str::concat!(END, "org_id = $3", END_TAIL);
    match scope {
        FamilyScope::Organization(id) => tx.all(BY_ORG, values![now, reason, id]).await,
        FamilyScope::Family(id) => tx.all(BY_FAMILY, values![now, reason, id]).await,
        FamilyScope::Session(id) => tx.all(BY_SESSION, values![now, reason, id]).await,
        FamilyScope::User(id) => tx.all(BY_USER, values![now, reason, id]).await,
        FamilyScope::Client(id) => tx.all(BY_CLIENT, values![now, reason, id.as_str()]).await,
        FamilyScope::Grant(user, client) => {
            tx.all(BY_GRANT, values![now, reason, user, client.as_str()])
                .await
        }
    }
}

/// Tells the feed that families ended, and names their newest access tokens.
pub(crate) async fn publish_end(
    tx: &mut Tx<'_>,
    ended: &[RefreshFamily],
    revoked_at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let feed = |kind| revocation::Feed {
        kind,
        revoked_at,
        expires_at,
    };
    let grants: Vec<String> = ended.iter().map(|family| family.id.to_string()).collect();
    let tokens: Vec<String> = ended
        .iter()
        .filter_map(|family| family.current_jti.clone())
        .collect();
    revocation::publish(tx, &feed(RevocationKind::Grant), &grants).await?;
    revocation::publish(tx, &feed(RevocationKind::Token), &tokens).await
}

/// Every ended family has its own line, whatever ended it.
pub(crate) fn ended_event(family: &RefreshFamily, reason: &str) -> AuditEvent {
    about(family, "token_revoked")
        .field("kind", "grant")
        .field("reason", reason)
}

pub(crate) fn about(family: &RefreshFamily, event: &'static str) -> AuditEvent {
    let mut event = AuditEvent::new(event)
        .client(&family.client_id)
        .grant(&family.id);
    event.user_id = family.user_id.as_ref().map(ToString::to_string);
    event.org_id = family.org_id.as_ref().map(ToString::to_string);
    event
}
