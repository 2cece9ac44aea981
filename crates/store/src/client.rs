//! OAuth clients (RFC 6749 §2, metadata names of RFC 7591) and their secrets, of which two may be valid at once.

use serde::{Deserialize, Serialize};
use tokensmith_oauth2::{ClientId, GrantType, Scope};

use crate::{
    AuditContext, AuditEvent, AuthMethod, ClientMetadata, Operation, Row, Store, StoreError,
    Timestamp, Tx, epoch,
    tx::{FromRow, Value, values},
};

/// What is kept of a client secret. None of it can be presented as the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretHash {
    /// SHA-256, base64url: for secrets that carry 256 random bits.
    Sha256(String),
    /// An argon2id PHC string: for secrets that people chose.
    Argon2id(String),
    /// The secret itself, sealed under the master key, base64url: for `client_secret_jwt` alone, which needs it as a key.
    Sealed(String),
}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha256(_) => "Sha256(..)",
            Self::Argon2id(_) => "Argon2id(..)",
            Self::Sealed(_) => "Sealed(..)",
        })
    }
}

/// One of a client's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    /// Names the secret in listings; not secret itself.
    pub id: String,
    /// Its hash.
    pub hash: SecretHash,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Milliseconds since the Unix epoch; `None` while it has no end.
    pub expires_at: Option<i64>,
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Compared by code points, never normalised (RFC 8414 §4).
    pub client_id: ClientId,
    /// A name for people.
    pub name: String,
    /// How it authenticates.
    pub auth_method: AuthMethod,
    /// At most two.
    pub secrets: Vec<ClientSecret>,
    /// The grants it may use.
    pub grant_types: Vec<GrantType>,
    /// The most it may ask for.
    pub scope: Scope,
    /// The resources it may ask for (RFC 8707); the first is its default. Empty: the server's default alone.
    pub resources: Vec<String>,
    /// Registered redirect URIs, compared exactly.
    pub redirect_uris: Vec<String>,
    /// The role its tokens carry for the older machine-to-machine services.
    pub role: Option<String>,
    /// Life of its access tokens in seconds; `None`: the server's setting.
    pub access_token_seconds: Option<i64>,
    /// Whether its refresh tokens rotate.
    pub rotates_refresh_tokens: bool,
    /// What else it registered.
    pub metadata: ClientMetadata,
    /// A disabled client is refused everywhere.
    pub is_active: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

pub(crate) const COLUMNS: &str =
    "SELECT client_id, name, auth_method, secrets, grant_types, scope, resources, redirect_uris,
    role, access_token_seconds, rotates_refresh_tokens, is_active, created_at, updated_at, metadata
    FROM clients";

impl FromRow for Client {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            client_id: row.word(0)?,
            name: row.text(1)?,
            auth_method: row.word(2)?,
            secrets: row.json(3)?,
            grant_types: words(&row.text(4)?)?,
            scope: scope(&row.text(5)?)?,
            resources: row.json(6)?,
            redirect_uris: row.json(7)?,
            role: row.opt_text(8)?,
            access_token_seconds: row.opt_int(9)?,
            rotates_refresh_tokens: row.flag(10)?,
            is_active: row.flag(11)?,
            created_at: row.time(12)?,
            updated_at: row.time(13)?,
            metadata: row.json(14)?,
        })
    }
}

/// A client may be allowed nothing, which no request can spell (RFC 6749 §3.3).
fn scope(text: &str) -> Result<Scope, StoreError> {
    match text {
        "" => Ok(Scope::empty()),
        text => Scope::parse(text).map_err(StoreError::corrupt),
    }
}

fn words<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Vec<T>, StoreError> {
    text.split_ascii_whitespace()
        .map(|word| word.parse().map_err(StoreError::corrupt))
        .collect()
}

impl Store {
    /// The client with exactly this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        const BY_ID: &str = const_str::concat!(COLUMNS, " WHERE client_id = $1");
        self.first(BY_ID, values![id.as_str()]).await
    }

    /// Clients in the order of their ids, after `after`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn clients(&self, after: &str, limit: i64) -> Result<Vec<Client>, StoreError> {
        const PAGE: &str =
            const_str::concat!(COLUMNS, " WHERE client_id > $1 ORDER BY client_id LIMIT $2");
        self.all(PAGE, values![after, limit]).await
    }
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The client is new.
    Created,
    /// There is one with this id already; nothing was changed.
    Exists,
}

/// Registers a client, unless its id is taken.
#[derive(Debug)]
pub struct RegisterClient {
    /// The client.
    pub client: Client,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for RegisterClient {
    type Outcome = Registered;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Registered, StoreError> {
        const ADD: &str = const_str::concat!(INSERT, " ON CONFLICT (client_id) DO NOTHING");
        if !insert(tx, ADD, &self.client).await? {
            return Ok(Registered::Exists);
        }
        epoch::advance(tx).await?;
        tx.audit(
            &self.context,
            AuditEvent::new("client_registered").client(&self.client.client_id),
        );
        Ok(Registered::Created)
    }
}

/// Writes a client as it should be, whether or not it existed: for declared configuration.
#[derive(Debug)]
pub struct PutClient {
    /// The client.
    pub client: Client,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for PutClient {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.client.put(tx).await?;
        epoch::advance(tx).await?;
        tx.audit(
            &self.context,
            AuditEvent::new("client_changed").client(&self.client.client_id),
        );
        Ok(())
    }
}

impl Client {
    /// Writes the record as it should be, whether or not it existed.
    pub(crate) async fn put(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        const PUT: &str = const_str::concat!(
            INSERT,
            " ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, auth_method = excluded.auth_method,
                secrets = excluded.secrets, grant_types = excluded.grant_types, scope = excluded.scope,
                resources = excluded.resources, redirect_uris = excluded.redirect_uris, role = excluded.role,
                access_token_seconds = excluded.access_token_seconds,
                rotates_refresh_tokens = excluded.rotates_refresh_tokens, is_active = excluded.is_active,
                updated_at = excluded.updated_at, metadata = excluded.metadata"
        );
        insert(tx, PUT, self).await.map(drop)
    }
}

const INSERT: &str = "INSERT INTO clients (client_id, name, auth_method, secrets, grant_types, scope, resources,
    redirect_uris, role, access_token_seconds, rotates_refresh_tokens, is_active, created_at, updated_at,
    metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

async fn insert(tx: &mut Tx<'_>, sql: &'static str, client: &Client) -> Result<bool, StoreError> {
    let grants: Vec<&str> = client
        .grant_types
        .iter()
        .map(|grant| grant.as_str())
        .collect();
    let grants = grants.join(" ");
    let scope = client.scope.to_string();
    let (secrets, resources) = (json(&client.secrets)?, json(&client.resources)?);
    let redirect_uris = json(&client.redirect_uris)?;
    let metadata = json(&client.metadata)?;
    let row: &[Value<'_>] = values![
        client.client_id.as_str(),
        &client.name,
        client.auth_method.as_str(),
        &secrets,
        &grants,
        &scope,
        &resources,
        &redirect_uris,
        client.role.as_ref(),
        client.access_token_seconds,
        client.rotates_refresh_tokens,
        client.is_active,
        client.created_at,
        client.updated_at,
        &metadata,
    ];
    tx.won(sql, row).await
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::corrupt)
}

/// One change of a client that exists.
#[derive(Clone, Debug)]
pub enum ClientChange {
    /// Allows or refuses it.
    Active(bool),
    /// Replaces its secrets. The caller read `before`; if they changed since, nothing happens.
    Secrets {
        /// The secrets the caller saw.
        before: Vec<ClientSecret>,
        /// The secrets from now on.
        after: Vec<ClientSecret>,
    },
}

/// Changes a client.
#[derive(Debug)]
pub struct ChangeClient {
    /// Which one.
    pub client_id: ClientId,
    /// What changes.
    pub change: ClientChange,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for ChangeClient {
    /// Whether the client was there, as the caller saw it.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const ACTIVE: &str =
            "UPDATE clients SET is_active = $1, updated_at = $2 WHERE client_id = $3";
        const SECRETS: &str = "UPDATE clients SET secrets = $1, updated_at = $2 WHERE client_id = $3 AND secrets = $4";
        let (id, now) = (self.client_id.as_str(), self.context.at);
        let (won, event) = match &self.change {
            ClientChange::Active(active) => {
                let event = if *active {
                    "client_enabled"
                } else {
                    "client_disabled"
                };
                (tx.won(ACTIVE, values![*active, now, id]).await?, event)
            }
            ClientChange::Secrets { before, after } => {
                let (before, after) = (json(before)?, json(after)?);
                (
                    tx.won(SECRETS, values![&after, now, id, &before]).await?,
                    "client_secrets_changed",
                )
            }
        };
        if won {
            epoch::advance(tx).await?;
            tx.audit(&self.context, AuditEvent::new(event).client(id));
        }
        Ok(won)
    }
}

/// Removes a client with every refresh token family that was granted to it, so that a later client of the same id
/// inherits nothing. For its access tokens, [`Revoke`](crate::Revoke) the client first.
#[derive(Debug)]
pub struct RemoveClient {
    /// Which one.
    pub client_id: ClientId,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for RemoveClient {
    /// Whether there was one.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let id = self.client_id.as_str();
        let won = tx
            .won("DELETE FROM clients WHERE client_id = $1", values![id])
            .await?;
        if won {
            epoch::advance(tx).await?;
            tx.audit(&self.context, AuditEvent::new("client_removed").client(id));
        }
        Ok(won)
    }
}
