//! Declared data: the scopes there are and what they imply, and the resources tokens are made for (RFC 8707).

use crate::{
    AuditContext, AuditEvent, Operation, Row, Store, StoreError, Timestamp, Tx,
    client::json,
    epoch,
    tx::{FromRow, values},
};

/// A scope, and the scopes it implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeDeclaration {
    /// The scope token (RFC 6749 §3.3).
    pub name: String,
    /// What it allows, for people.
    pub description: String,
    /// Scope tokens it implies.
    pub implies: Vec<String>,
}

/// A resource server that tokens may be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The absolute URI that is the token's `aud`.
    pub identifier: String,
    /// A name for people.
    pub name: String,
    /// Scope tokens it knows; empty: all.
    pub scopes: Vec<String>,
    /// JWS `alg` of its access tokens; `None`: the server's setting.
    pub signing_algorithm: Option<String>,
    /// Life of its access tokens in seconds; `None`: the client's or the server's setting.
    pub access_token_seconds: Option<i64>,
    /// What its access tokens say of a user beyond the ids: of `email`, `roles` and `permissions`; `None`: the first
    /// two.
    pub user_claims: Option<Vec<String>>,
    /// When it was declared.
    pub created_at: Timestamp,
}

impl FromRow for ScopeDeclaration {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.text(0)?,
            description: row.text(1)?,
            implies: row.json(2)?,
        })
    }
}

impl FromRow for Resource {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            identifier: row.text(0)?,
            name: row.text(1)?,
            scopes: row.json(2)?,
            signing_algorithm: row.opt_text(3)?,
            access_token_seconds: row.opt_int(4)?,
            created_at: row.time(5)?,
            user_claims: match row.opt_text(6)? {
                Some(list) => Some(serde_json::from_str(&list).map_err(StoreError::corrupt)?),
                None => None,
            },
        })
    }
}

impl Store {
    /// Every declared scope, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn scopes(&self) -> Result<Vec<ScopeDeclaration>, StoreError> {
        self.all(
            "SELECT name, description, implies FROM scopes ORDER BY name",
            &[],
        )
        .await
    }

    /// Every declared resource, by identifier.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn resources(&self) -> Result<Vec<Resource>, StoreError> {
        const ALL: &str =
            "SELECT identifier, name, scopes, signing_algorithm, access_token_seconds, created_at,
            user_claims FROM resources ORDER BY identifier";
        self.all(ALL, &[]).await
    }
}

impl Store {
    /// The longest life in seconds that any resource or client asks for its access tokens; 0 when none does.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn longest_access_token(&self) -> Result<i64, StoreError> {
        const LONGEST: &str = "SELECT COALESCE(max(seconds), 0) FROM
            (SELECT max(access_token_seconds) AS seconds FROM resources
            UNION ALL SELECT max(access_token_seconds) AS seconds FROM clients) AS asked";
        Ok(self.first(LONGEST, &[]).await?.unwrap_or(0))
    }
}

/// Declares a scope, or declares it anew.
#[derive(Debug)]
pub struct PutScope {
    /// The scope.
    pub scope: ScopeDeclaration,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for PutScope {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.scope.put(tx).await?;
        epoch::advance(tx).await?;
        tx.audit(
            &self.context,
            AuditEvent::new("scope_declared").field("scope", &self.scope.name),
        );
        Ok(())
    }
}

impl ScopeDeclaration {
    pub(crate) async fn put(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO scopes (name, description, implies) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET description = excluded.description, implies = excluded.implies";
        let implies = json(&self.implies)?;
        let row = values![&self.name, &self.description, &implies];
        tx.execute(PUT, row).await.map(drop)
    }
}

/// Declares a resource, or declares it anew.
#[derive(Debug)]
pub struct PutResource {
    /// The resource.
    pub resource: Resource,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for PutResource {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.resource.put(tx).await?;
        epoch::advance(tx).await?;
        tx.audit(
            &self.context,
            AuditEvent::new("resource_declared").field("resource", &self.resource.identifier),
        );
        Ok(())
    }
}

impl Resource {
    pub(crate) async fn put(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO resources
            (identifier, name, scopes, signing_algorithm, access_token_seconds, created_at, user_claims)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (identifier) DO UPDATE SET name = excluded.name, scopes = excluded.scopes,
                signing_algorithm = excluded.signing_algorithm, access_token_seconds = excluded.access_token_seconds,
                user_claims = excluded.user_claims";
        let scopes = json(&self.scopes)?;
        let user_claims = self.user_claims.as_ref().map(json).transpose()?;
        let row = values![
            &self.identifier,
            &self.name,
            &scopes,
            self.signing_algorithm.as_ref(),
            self.access_token_seconds,
            self.created_at,
            user_claims.as_ref(),
        ];
        tx.execute(PUT, row).await.map(drop)
    }
}
