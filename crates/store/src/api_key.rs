//! API keys of users and clients: long-lived bearer credentials, kept as SHA-256 of 256 random bits. Every key expires.
//! A successor takes over while the key it replaces goes on for a while; both are rows of their own.

use tokensmith_oauth2::{ClientId, Scope};

use crate::{
    AuditContext, AuditEvent, Durability, Operation, OrganizationId, RevocationKind, Row, Store,
    StoreError, Timestamp, Tx, UserId, revocation,
    tx::{FromRow, values},
};

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiKeyOwner {
    /// A person's.
    User(UserId),
    /// A service's.
    Client(ClientId),
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The middle part of its text.
    pub id: String,
    /// SHA-256 of its last part.
    pub digest: Vec<u8>,
    /// Whose.
    pub owner: ApiKeyOwner,
    /// The organization it acts in.
    pub org_id: Option<OrganizationId>,
    /// A name for people.
    pub name: String,
    /// What it permits at most.
    pub scope: Scope,
    /// The resource it is for.
    pub resource: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is over.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
}

const COLUMNS: &str =
    "SELECT id, digest, user_id, client_id, org_id, name, scope, resource, created_at, expires_at,
    last_used_at, revoked_at FROM api_keys";

impl FromRow for ApiKey {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let owner = match (row.opt_word(2)?, row.opt_text(3)?) {
            (Some(user), None) => ApiKeyOwner::User(user),
            (None, Some(id)) => {
                ApiKeyOwner::Client(ClientId::parse(&id).map_err(StoreError::corrupt)?)
            }
            _ => return Err(StoreError::corrupt("an API key without one owner")),
        };
        Ok(Self {
            id: row.text(0)?,
            digest: row.bytes(1)?,
            owner,
            org_id: row.opt_word(4)?,
            name: row.text(5)?,
            scope: Scope::parse(&row.text(6)?).map_err(StoreError::corrupt)?,
            resource: row.text(7)?,
            created_at: row.time(8)?,
            expires_at: row.time(9)?,
            last_used_at: row.opt_time(10)?,
            revoked_at: row.opt_time(11)?,
        })
    }
}

impl ApiKeyOwner {
    fn columns(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::User(user) => (Some(user.as_str()), None),
            Self::Client(client) => (None, Some(client.as_str())),
        }
    }

    fn named(&self, event: AuditEvent) -> AuditEvent {
        match self {
            Self::User(user) => event.user(user),
            Self::Client(client) => event.client(client),
        }
    }
}

impl ApiKey {
    /// Keys of one owner that are neither expired nor revoked, at most.
    pub const MOST: i64 = 50;

    /// Whether it is neither expired nor revoked.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }
}

impl Store {
    /// The key with this id, whether or not it is live.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        const BY_ID: &str = const_str::concat!(COLUMNS, " WHERE id = $1");
        self.first(BY_ID, values![id]).await
    }

    /// An owner's keys that are not swept yet, the oldest first, after `after`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_keys_of(
        &self,
        owner: &ApiKeyOwner,
        after: &str,
        limit: i64,
    ) -> Result<Vec<ApiKey>, StoreError> {
        const OF_USER: &str = const_str::concat!(
            COLUMNS,
            " WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        const OF_CLIENT: &str = const_str::concat!(
            COLUMNS,
            " WHERE client_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        match owner {
            ApiKeyOwner::User(user) => self.all(OF_USER, values![user, after, limit]).await,
            ApiKeyOwner::Client(client) => {
                self.all(OF_CLIENT, values![client.as_str(), after, limit])
                    .await
            }
        }
    }
}

/// Makes a key.
#[derive(Debug)]
pub struct CreateApiKey {
    /// The key.
    pub key: ApiKey,
    /// The key it takes over from, which goes on until the instant, if it would not end before.
    pub replaces: Option<(String, Timestamp)>,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyCreation {
    /// It is there.
    Created,
    /// The owner has as many as there may be.
    TooMany,
    /// The owner is not there or not active.
    NoSuchOwner,
    /// The key to take over from is not the owner's, or is over.
    NotLive,
}

impl Operation for CreateApiKey {
    type Outcome = ApiKeyCreation;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ApiKeyCreation, StoreError> {
        // The owner's row is written, so that PostgreSQL counts one owner's keys one after another.
        const USER: &str =
            "UPDATE users SET updated_at = updated_at WHERE id = $1 AND is_active = 1";
        const CLIENT: &str =
            "UPDATE clients SET updated_at = updated_at WHERE client_id = $1 AND is_active = 1";
        const SHORTEN: &str =
            "UPDATE api_keys SET expires_at = CASE WHEN expires_at < $1 THEN expires_at ELSE $1 END
            WHERE id = $2 AND revoked_at IS NULL AND expires_at > $3
                AND (user_id = $4 OR client_id = $5)";
        const COUNT: &str = "SELECT count(*) FROM api_keys WHERE (user_id = $1 OR client_id = $2)
            AND revoked_at IS NULL AND expires_at > $3";
        const PUT: &str =
            "INSERT INTO api_keys (id, digest, user_id, client_id, org_id, name, scope, resource,
            created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (key, now) = (&self.key, self.context.at);
        let (user, client) = key.owner.columns();
        let (lock, owner) = match user {
            Some(user) => (USER, user),
            None => (CLIENT, client.unwrap_or_default()),
        };
        if !tx.won(lock, values![owner]).await? {
            return Ok(ApiKeyCreation::NoSuchOwner);
        }
        if let Some((replaced, until)) = &self.replaces {
            let row = values![*until, replaced, now, user, client];
            if !tx.won(SHORTEN, row).await? {
                return Ok(ApiKeyCreation::NotLive);
            }
        }
        let count: Option<i64> = tx.first(COUNT, values![user, client, now]).await?;
        if count.unwrap_or(0) >= ApiKey::MOST {
            return Ok(ApiKeyCreation::TooMany);
        }
        let scope = key.scope.to_string();
        let row = values![
            &key.id,
            &key.digest,
            user,
            client,
            key.org_id.as_ref(),
            &key.name,
            &scope,
            &key.resource,
            now,
            key.expires_at,
        ];
        tx.execute(PUT, row).await?;
        let event = AuditEvent::new("api_key_created")
            .field("key", &key.id)
            .field("scope", &scope);
        let event = match &self.replaces {
            Some((replaced, _)) => event.field("replaces", replaced),
            None => event,
        };
        tx.audit(&self.context, key.owner.named(event));
        Ok(ApiKeyCreation::Created)
    }
}

/// Withdraws a key.
#[derive(Debug)]
pub struct RevokeApiKey {
    /// Which.
    pub id: String,
    /// Whose it must be.
    pub owner: ApiKeyOwner,
    /// How long validating services may still remember it.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RevokeApiKey {
    /// Whether the owner had such a key that was not revoked.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const REVOKE: &str =
            "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL
            AND (user_id = $3 OR client_id = $4)";
        let (user, client) = self.owner.columns();
        let row = values![self.context.at, &self.id, user, client];
        if !tx.won(REVOKE, row).await? {
            return Ok(false);
        }
        let feed = revocation::Feed {
            kind: RevocationKind::Token,
            revoked_at: self.context.at,
            expires_at: self.revoked_until,
        };
        revocation::publish(tx, &feed, std::slice::from_ref(&self.id)).await?;
        let event = AuditEvent::new("api_key_revoked").field("key", &self.id);
        tx.audit(&self.context, self.owner.named(event));
        Ok(true)
    }
}

/// Notes that a key was used, if that was noted last before `before`.
#[derive(Debug)]
pub struct TouchApiKey {
    /// Which.
    pub id: String,
    /// Now.
    pub now: Timestamp,
    /// Only then.
    pub before: Timestamp,
}

impl Operation for TouchApiKey {
    type Outcome = ();

    fn durability(&self) -> Durability {
        Durability::CrashSafe
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND COALESCE(last_used_at, 0) < $3";
        let row = values![self.now, &self.id, self.before];
        tx.execute(TOUCH, row).await.map(drop)
    }
}
