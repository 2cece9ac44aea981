//! The SQL of declarations, one text for each kind.

use super::{Declaration, DeclarationKind};
use crate::{
    Client, Permission, Resource, Role, ScopeDeclaration, Store, StoreError, Timestamp,
    TrustedIssuer, Tx,
    client::{self, json},
    tx::{FromRow, values},
};

const SCOPES: &str = "SELECT name, description, implies FROM scopes";
const RESOURCES: &str = "SELECT identifier, name, scopes, signing_algorithm, access_token_seconds, created_at, user_claims FROM resources";
const PERMISSIONS: &str = "SELECT name, description FROM permissions";
const ROLES: &str = "SELECT name, description, permissions, includes FROM roles";
const BY_NAME: &str = " WHERE name = $1";
const BY_IDENTIFIER: &str = " WHERE identifier = $1";
const PAGE_BY_NAME: &str = " WHERE name > $1 ORDER BY name LIMIT $2";
const PAGE_BY_IDENTIFIER: &str = " WHERE identifier > $1 ORDER BY identifier LIMIT $2";

impl DeclarationKind {
    fn by_key(self) -> &'static str {
        match self {
            Self::Scope => const_str::concat!(SCOPES, BY_NAME),
            Self::Resource => const_str::concat!(RESOURCES, BY_IDENTIFIER),
            Self::Permission => const_str::concat!(PERMISSIONS, BY_NAME),
            Self::Role => const_str::concat!(ROLES, BY_NAME),
            Self::Client => const_str::concat!(client::COLUMNS, " WHERE client_id = $1"),
            Self::Issuer => "SELECT record FROM trusted_issuers WHERE issuer = $1",
        }
    }

    fn page(self) -> &'static str {
        match self {
            Self::Scope => const_str::concat!(SCOPES, PAGE_BY_NAME),
            Self::Resource => const_str::concat!(RESOURCES, PAGE_BY_IDENTIFIER),
            Self::Permission => const_str::concat!(PERMISSIONS, PAGE_BY_NAME),
            Self::Role => const_str::concat!(ROLES, PAGE_BY_NAME),
            Self::Client => const_str::concat!(
                client::COLUMNS,
                " WHERE client_id > $1 ORDER BY client_id LIMIT $2"
            ),
            Self::Issuer => {
                "SELECT record FROM trusted_issuers WHERE issuer > $1 ORDER BY issuer LIMIT $2"
            }
        }
    }

    fn delete(self) -> &'static str {
        match self {
            Self::Scope => "DELETE FROM scopes WHERE name = $1",
            Self::Resource => "DELETE FROM resources WHERE identifier = $1",
            Self::Permission => "DELETE FROM permissions WHERE name = $1",
            Self::Role => "DELETE FROM roles WHERE name = $1",
            Self::Client => "DELETE FROM clients WHERE client_id = $1",
            Self::Issuer => "DELETE FROM trusted_issuers WHERE issuer = $1",
        }
    }
}

/// Wraps a record of one kind.
macro_rules! wrapped {
    ($records:expr, $variant:ident) => {
        $records
            .into_iter()
            .map(Declaration::$variant)
            .collect::<Vec<_>>()
    };
}

fn clients(records: Vec<Client>) -> Vec<Declaration> {
    let boxed = records.into_iter().map(Box::new);
    boxed.map(Declaration::Client).collect()
}

fn issuers(records: Vec<TrustedIssuer>) -> Vec<Declaration> {
    let boxed = records.into_iter().map(Box::new);
    boxed.map(Declaration::Issuer).collect()
}

impl Store {
    /// The declaration with exactly this key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn declaration(
        &self,
        kind: DeclarationKind,
        key: &str,
    ) -> Result<Option<Declaration>, StoreError> {
        let (sql, row) = (kind.by_key(), values![key]);
        let found = match kind {
            DeclarationKind::Scope => {
                wrapped!(self.all::<ScopeDeclaration>(sql, row).await?, Scope)
            }
            DeclarationKind::Resource => wrapped!(self.all::<Resource>(sql, row).await?, Resource),
            DeclarationKind::Permission => {
                wrapped!(self.all::<Permission>(sql, row).await?, Permission)
            }
            DeclarationKind::Role => wrapped!(self.all::<Role>(sql, row).await?, Role),
            DeclarationKind::Client => clients(self.all(sql, row).await?),
            DeclarationKind::Issuer => issuers(self.all(sql, row).await?),
        };
        Ok(found.into_iter().next())
    }

    /// Declarations of a kind in the order of their keys, after `after`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn declarations(
        &self,
        kind: DeclarationKind,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Declaration>, StoreError> {
        let (sql, row) = (kind.page(), values![after, limit]);
        Ok(match kind {
            DeclarationKind::Scope => {
                wrapped!(self.all::<ScopeDeclaration>(sql, row).await?, Scope)
            }
            DeclarationKind::Resource => wrapped!(self.all::<Resource>(sql, row).await?, Resource),
            DeclarationKind::Permission => {
                wrapped!(self.all::<Permission>(sql, row).await?, Permission)
            }
            DeclarationKind::Role => wrapped!(self.all::<Role>(sql, row).await?, Role),
            DeclarationKind::Client => clients(self.all(sql, row).await?),
            DeclarationKind::Issuer => issuers(self.all(sql, row).await?),
        })
    }
}

pub(super) async fn current(
    tx: &mut Tx<'_>,
    kind: DeclarationKind,
    key: &str,
) -> Result<Option<Declaration>, StoreError> {
    let (sql, row) = (kind.by_key(), values![key]);
    let found = match kind {
        DeclarationKind::Scope => wrapped!(tx.all::<ScopeDeclaration>(sql, row).await?, Scope),
        DeclarationKind::Resource => wrapped!(tx.all::<Resource>(sql, row).await?, Resource),
        DeclarationKind::Permission => wrapped!(tx.all::<Permission>(sql, row).await?, Permission),
        DeclarationKind::Role => wrapped!(tx.all::<Role>(sql, row).await?, Role),
        DeclarationKind::Client => clients(tx.all(sql, row).await?),
        DeclarationKind::Issuer => issuers(tx.all(sql, row).await?),
    };
    Ok(found.into_iter().next())
}

pub(super) async fn all<T: FromRow>(
    tx: &mut Tx<'_>,
    kind: DeclarationKind,
) -> Result<Vec<T>, StoreError> {
    tx.all(kind.page(), values!["", MOST + 1]).await
}

/// Declarations there may be of one kind, clients apart: every node keeps all of them in memory.
pub(super) const MOST: i64 = 10_000;

pub(super) async fn remove(tx: &mut Tx<'_>, gone: &Declaration) -> Result<(), StoreError> {
    tx.execute(gone.kind().delete(), values![gone.key()])
        .await
        .map(drop)
}

pub(super) async fn put(
    tx: &mut Tx<'_>,
    declared: &Declaration,
    now: Timestamp,
) -> Result<(), StoreError> {
    match declared {
        Declaration::Scope(scope) => scope.put(tx).await,
        Declaration::Resource(resource) => resource.put(tx).await,
        Declaration::Permission(permission) => put_permission(tx, permission).await,
        Declaration::Role(role) => put_role(tx, role).await,
        Declaration::Client(client) => client.put(tx).await,
        Declaration::Issuer(issuer) => issuer.put(tx, now).await.map(drop),
    }
}

async fn put_permission(tx: &mut Tx<'_>, permission: &Permission) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO permissions (name, description) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET description = excluded.description";
    let row = values![&permission.name, &permission.description];
    tx.execute(PUT, row).await.map(drop)
}

async fn put_role(tx: &mut Tx<'_>, role: &Role) -> Result<(), StoreError> {
    const PUT: &str =
        "INSERT INTO roles (name, description, permissions, includes) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO UPDATE SET description = excluded.description,
            permissions = excluded.permissions, includes = excluded.includes";
    let (permissions, includes) = (json(&role.permissions)?, json(&role.includes)?);
    let row = values![&role.name, &role.description, &permissions, &includes];
    tx.execute(PUT, row).await.map(drop)
}
