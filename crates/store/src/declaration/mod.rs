//! The registry as one kind of thing: clients, resources, scopes, permissions, roles and trusted issuers are declarations with a key,
//! read by page and changed together in one transaction.

mod change;
mod references;
mod rows;

use crate::{Client, Permission, Resource, Role, ScopeDeclaration, TrustedIssuer};

pub use change::{ChangeDeclarations, DeclarationChange, Declared};

/// What is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeclarationKind {
    /// What tokens may permit.
    Scope,
    /// Whom tokens are for.
    Resource,
    /// What users may do.
    Permission,
    /// Which permissions users have together.
    Role,
    /// Who may ask for tokens.
    Client,
    /// Whose tokens stand for clients.
    Issuer,
}

impl DeclarationKind {
    /// All of them, in an order in which each refers only to those before it.
    pub const ALL: [Self; 6] = [
        Self::Scope,
        Self::Resource,
        Self::Permission,
        Self::Role,
        Self::Client,
        Self::Issuer,
    ];

    /// One of them, in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Resource => "resource",
            Self::Permission => "permission",
            Self::Role => "role",
            Self::Client => "client",
            Self::Issuer => "issuer",
        }
    }

    /// Several of them: the name of their path and of their part of a file.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Scope => "scopes",
            Self::Resource => "resources",
            Self::Permission => "permissions",
            Self::Role => "roles",
            Self::Client => "clients",
            Self::Issuer => "issuers",
        }
    }
}

/// One record of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declaration {
    /// A scope.
    Scope(ScopeDeclaration),
    /// A resource.
    Resource(Resource),
    /// A permission.
    Permission(Permission),
    /// A role.
    Role(Role),
    /// A client.
    Client(Box<Client>),
    /// A trusted issuer.
    Issuer(Box<TrustedIssuer>),
}

impl Declaration {
    /// Which kind it is.
    pub fn kind(&self) -> DeclarationKind {
        match self {
            Self::Scope(_) => DeclarationKind::Scope,
            Self::Resource(_) => DeclarationKind::Resource,
            Self::Permission(_) => DeclarationKind::Permission,
            Self::Role(_) => DeclarationKind::Role,
            Self::Client(_) => DeclarationKind::Client,
            Self::Issuer(_) => DeclarationKind::Issuer,
        }
    }

    /// What it is found by among its kind.
    pub fn key(&self) -> &str {
        match self {
            Self::Scope(scope) => &scope.name,
            Self::Resource(resource) => &resource.identifier,
            Self::Permission(permission) => &permission.name,
            Self::Role(role) => &role.name,
            Self::Client(client) => client.client_id.as_str(),
            Self::Issuer(issuer) => &issuer.issuer,
        }
    }
}
