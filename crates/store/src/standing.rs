//! What a token about a user rests on, in one look-up: whether the user is active, the session live and the
//! membership there. Read when a token is made, and again whenever one is shown to this server.

use crate::{
    Authentication, FamilyId, OrganizationId, OrganizationRole, Row, SessionId, Store, StoreError,
    Timestamp, UserId,
    session::live,
    tx::{FromRow, values},
};

/// What a token about an active user in a live session may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The user's address.
    pub email: String,
    /// The user's role in the organization asked about, if both are still there and the organization is active.
    pub role: Option<OrganizationRole>,
    /// The user's declared roles in that organization.
    pub org_roles: Vec<String>,
    /// The user's roles over the whole server.
    pub roles: Vec<String>,
    /// How the user last proved in the session who they are.
    pub authentication: Authentication,
    /// When tokens that say what this user may do last became stale.
    pub stale_at: Option<Timestamp>,
}

impl FromRow for Standing {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            email: row.text(0)?,
            role: row.opt_word(1)?,
            org_roles: match row.opt_text(2)? {
                Some(list) => serde_json::from_str(&list).map_err(StoreError::corrupt)?,
                None => Vec::new(),
            },
            roles: row.json(3)?,
            stale_at: row.opt_time(4)?,
            authentication: Authentication::read(row, 5)?,
        })
    }
}

/// What there is to know of an access token about an active user that is being shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownToken {
    /// Whether its session is live.
    pub session_is_live: bool,
    /// The refresh token family it is the newest access token of, if its first use has not been noted there.
    pub first_use_of: Option<FamilyId>,
}

impl FromRow for ShownToken {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            session_is_live: row.flag(0)?,
            first_use_of: row.opt_word(1)?,
        })
    }
}

impl Store {
    /// What a token about this user may say; `None` when the user is not active or the session not live.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standing(
        &self,
        user: &UserId,
        session: &SessionId,
        org: Option<&OrganizationId>,
        now: Timestamp,
    ) -> Result<Option<Standing>, StoreError> {
        const READ: &str = const_str::concat!("SELECT u.email, m.role, m.roles, u.roles,
                (SELECT max(r.revoked_at) FROM revocations AS r
                    WHERE r.kind = 'role' OR (r.kind = 'authority' AND r.subject = u.id)),
                s.level, s.methods, COALESCE(s.authenticated_at, s.created_at)
            FROM users AS u JOIN sessions AS s ON s.user_id = u.id
            LEFT JOIN memberships AS m ON m.org_id = $1 AND m.user_id = u.id
                AND EXISTS (SELECT 1 FROM organizations AS o WHERE o.id = m.org_id AND o.is_active = 1)
            WHERE u.id = $2 AND u.is_active = 1 AND s.id = $3 AND ", live!("$4"));
        self.first(READ, values![org, user, session, now]).await
    }

    /// What there is to know of a shown token by its user, session and `jti`; `None` when the user is not active.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shown_token(
        &self,
        user: &UserId,
        session: Option<&SessionId>,
        jti: &str,
        now: Timestamp,
    ) -> Result<Option<ShownToken>, StoreError> {
        // The first generation has no predecessor, so nobody asks whether its access token was used.
        const READ: &str = const_str::concat!("SELECT (SELECT count(*) FROM sessions AS s
                WHERE s.id = $1 AND s.user_id = u.id AND ", live!("$2"), "),
            (SELECT max(f.id) FROM refresh_families AS f WHERE f.session_id = $1 AND f.current_jti = $3
                AND f.generation > 1 AND f.successor_used_at IS NULL)
            FROM users AS u WHERE u.id = $4 AND u.is_active = 1");
        self.first(READ, values![session, now, jti, user]).await
    }
}
