//! The feed of revocations: what validating services must refuse although it has not expired. Short, because a line
//! is needed only until the last token it speaks of has expired.
//!
//! A line's number comes from a counter whose row stays locked until the commit, so numbers appear in order and a
//! reader that has seen `n` never misses a lower one.

use std::str::FromStr;

use crate::{
    AuditContext, AuditEvent, Operation, Row, Store, StoreError, Timestamp, TokenNames, Tx,
    client::json,
    tx::{FromRow, values},
};

/// What a revocation is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// One token, by `jti`.
    Token,
    /// Every token of a refresh token family, by the family's id.
    Grant,
    /// Every token of a session, by `sid`.
    Session,
    /// Every token about a user that was issued up to then, by `sub`.
    User,
    /// Every token issued to a client up to then, by `client_id`.
    Client,
    /// Every token in an organization that was issued up to then, by `org_id`.
    Organization,
    /// Every token that says what a user may do and was issued up to then, by `sub`: it is stale, the user is not
    /// signed out. What is read anew at each use does not mind.
    Authority,
    /// Every token that says this role and was issued up to then: the role means something else now.
    Role,
}

impl RevocationKind {
    const ALL: [Self; 8] = [
        Self::Token,
        Self::Grant,
        Self::Session,
        Self::User,
        Self::Client,
        Self::Organization,
        Self::Authority,
        Self::Role,
    ];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Grant => "grant",
            Self::Session => "session",
            Self::User => "user",
            Self::Client => "client",
            Self::Organization => "organization",
            Self::Authority => "authority",
            Self::Role => "role",
        }
    }
}

impl FromStr for RevocationKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == word)
            .ok_or_else(|| format!("`{word}` is not a kind of revocation"))
    }
}

/// A line of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRecord {
    /// The cursor: rises in the order of commits.
    pub id: i64,
    /// What it is about.
    pub kind: RevocationKind,
    /// Which one.
    pub subject: String,
    /// When. For a user or a client, tokens issued later are not meant.
    pub revoked_at: Timestamp,
    /// When the last token meant has expired.
    pub expires_at: Timestamp,
}

impl FromRow for RevocationRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.int(0)?,
            kind: row.word(1)?,
            subject: row.text(2)?,
            revoked_at: row.time(3)?,
            expires_at: row.time(4)?,
        })
    }
}

/// Everything a token can be revoked by.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenSubjects<'a> {
    /// Its `jti`.
    pub token: Option<&'a str>,
    /// Its refresh token family.
    pub grant: Option<&'a str>,
    /// Its `sid`.
    pub session: Option<&'a str>,
    /// The user it is about.
    pub user: Option<&'a str>,
    /// Its `client_id`.
    pub client: Option<&'a str>,
    /// The organization it is in.
    pub organization: Option<&'a str>,
    /// Its `iat`. Whole seconds, so a token made in the very second of a user's or client's revocation is refused.
    pub issued_at: Timestamp,
}

impl Store {
    /// Whether there is a revocation of this subject, whenever it was. For a whole token ask
    /// [`Store::token_is_revoked`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_revoked(
        &self,
        kind: RevocationKind,
        subject: &str,
    ) -> Result<bool, StoreError> {
        const FIND: &str = "SELECT id FROM revocations WHERE kind = $1 AND subject = $2 LIMIT 1";
        let found: Option<i64> = self.first(FIND, values![kind.as_str(), subject]).await?;
        Ok(found.is_some())
    }

    /// Whether a token is revoked by any of its subjects, in one look-up.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn token_is_revoked(&self, token: &TokenSubjects<'_>) -> Result<bool, StoreError> {
        const FIND: &str = "SELECT id FROM revocations WHERE (kind = 'token' AND subject = $1)
            OR (kind = 'grant' AND subject = $2) OR (kind = 'session' AND subject = $3)
            OR (kind = 'user' AND subject = $4 AND revoked_at >= $5)
            OR (kind = 'client' AND subject = $6 AND revoked_at >= $5)
            OR (kind = 'organization' AND subject = $7 AND revoked_at >= $5) LIMIT 1";
        let row = values![
            token.token,
            token.grant,
            token.session,
            token.user,
            token.issued_at,
            token.client,
            token.organization,
        ];
        let found: Option<i64> = self.first(FIND, row).await?;
        Ok(found.is_some())
    }

    /// The number of the newest line there ever was; it never goes back, whatever is swept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revocation_cursor(&self) -> Result<i64, StoreError> {
        const NEWEST: &str = "SELECT value FROM counters WHERE name = 'revocation'";
        let newest = self.first(NEWEST, values![]).await?;
        newest.ok_or_else(|| StoreError::corrupt("the counter of revocations is missing"))
    }

    /// The lines of the feed after `id` (0: from the first), in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revocations_since(
        &self,
        id: i64,
        limit: i64,
    ) -> Result<Vec<RevocationRecord>, StoreError> {
        const SINCE: &str = "SELECT id, kind, subject, revoked_at, expires_at FROM revocations
            WHERE id > $1 ORDER BY id LIMIT $2";
        self.all(SINCE, values![id, limit]).await
    }
}

/// Revokes what one subject names.
#[derive(Debug)]
pub struct Revoke {
    /// What kind of thing.
    pub kind: RevocationKind,
    /// Which one.
    pub subject: String,
    /// When the last token meant has expired.
    pub expires_at: Timestamp,
    /// What is known of the token, for the audit line; empty where the subject says it all.
    pub names: TokenNames,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for Revoke {
    /// Whether it was news: `false` if the subject is revoked that far already.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        // Of a user or a client, only a revocation of this very instant says the same.
        const KNOWN: &str =
            "SELECT id FROM revocations WHERE kind = $1 AND subject = $2 AND expires_at >= $3
            AND (kind IN ('token', 'grant', 'session') OR revoked_at >= $4) LIMIT 1";
        let row = values![
            self.kind.as_str(),
            &self.subject,
            self.expires_at,
            self.context.at
        ];
        if tx.first::<i64>(KNOWN, row).await?.is_some() {
            return Ok(false);
        }
        let feed = Feed {
            kind: self.kind,
            revoked_at: self.context.at,
            expires_at: self.expires_at,
        };
        publish(tx, &feed, std::slice::from_ref(&self.subject)).await?;
        tx.audit(&self.context, self.event());
        Ok(true)
    }
}

impl Revoke {
    fn event(&self) -> AuditEvent {
        let event = AuditEvent::new("token_revoked").field("kind", self.kind.as_str());
        let event = match self.kind {
            RevocationKind::Token => event.field("jti", &self.subject),
            RevocationKind::Grant | RevocationKind::Session => event.grant(&self.subject),
            RevocationKind::User => event.user(&self.subject),
            RevocationKind::Client => event.client(&self.subject),
            RevocationKind::Organization => event.org(&self.subject),
            RevocationKind::Authority => event.user(&self.subject),
            RevocationKind::Role => event.field("role", &self.subject),
        };
        event.names(&self.names)
    }
}

/// What several lines of the feed have in common.
pub(crate) struct Feed {
    pub(crate) kind: RevocationKind,
    pub(crate) revoked_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Adds lines to the feed. It takes the counter's lock, so it comes after every other row of its operation.
pub(crate) async fn publish(
    tx: &mut Tx<'_>,
    feed: &Feed,
    subjects: &[String],
) -> Result<(), StoreError> {
    const TAKE: &str =
        "UPDATE counters SET value = value + $1 WHERE name = 'revocation' RETURNING value - $1";
    const SQLITE: &str = "INSERT INTO revocations (id, kind, subject, revoked_at, expires_at)
        SELECT $1 + key + 1, $2, value, $3, $4 FROM json_each($5)";
    const POSTGRES: &str = "INSERT INTO revocations (id, kind, subject, revoked_at, expires_at)
        SELECT $1 + place, $2, subject, $3, $4
        FROM jsonb_array_elements_text($5::text::jsonb) WITH ORDINALITY AS listed (subject, place)";
    if subjects.is_empty() {
        return Ok(());
    }
    let taken: Option<i64> = tx.first(TAKE, values![subjects.len() as i64]).await?;
    let before =
        taken.ok_or_else(|| StoreError::corrupt("the counter of revocations is missing"))?;
    let subjects = json(&subjects)?;
    let row = values![
        before,
        feed.kind.as_str(),
        feed.revoked_at,
        feed.expires_at,
        &subjects
    ];
    let sql = tx.by_engine(SQLITE, POSTGRES);
    tx.execute(sql, row).await.map(drop)
}
