//! Who is calling, as the token says it. A `sub` that is a UUID is a user; anything else is a service (RFC 9700 section 4.15).

use tokensmith_oauth2::{Actor, Confirmation, Lineage, Scope};

/// The caller: a person or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A person; the token was obtained with their consent.
    User(UserPrincipal),
    /// A client acting for itself.
    Service(ServicePrincipal),
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserPrincipal {
    /// The user's UUID, in lower case with hyphens.
    pub sub: String,
    /// E-mail address, when the token carries it.
    pub email: Option<String>,
    /// Organization the session is in.
    pub org_id: Option<String>,
    /// Session the token belongs to.
    pub sid: Option<String>,
    /// Client that got the token.
    pub client_id: Option<String>,
    /// What the client may do for the user.
    pub scope: Scope,
    /// Claims `roles` and `role`.
    pub roles: Vec<String>,
    /// Claim `permissions`.
    pub permissions: Vec<String>,
}

/// A client acting for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServicePrincipal {
    /// The client, which is also the subject. Where another acts for it, that one holds the token.
    pub client_id: String,
    /// Organization the client belongs to, when the token carries it.
    pub org_id: Option<String>,
    /// What the client may do.
    pub scope: Scope,
    /// Claims `roles` and `role`.
    pub roles: Vec<String>,
    /// Claim `permissions`.
    pub permissions: Vec<String>,
}

/// A verified token: what was said about the caller, and the token's own name and times.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessToken {
    /// Who is calling, or is acted for.
    pub principal: Principal,
    /// Client that got the token.
    pub client_id: Option<String>,
    /// Who acts for the principal (RFC 8693 section 4.1); `None`: nobody but the client it was issued to.
    pub actor: Option<Actor>,
    /// The tokens it was made of by token exchange, at most 8; a revocation of one of them is one of this token.
    pub derived_from: Lineage,
    /// The token's id.
    pub jti: Option<String>,
    /// The refresh token family the token came with.
    pub grant_id: Option<String>,
    /// How far the user's sign-in reaches, such as `aal2` (RFC 9068 section 2.2.1).
    pub acr: Option<String>,
    /// How the user signed in (RFC 8176).
    pub amr: Vec<String>,
    /// When the user signed in, in seconds since 1970.
    pub auth_time: Option<u64>,
    /// The key whose holder alone may use the token; `None` for a bearer token.
    pub confirmation: Option<Confirmation>,
    /// Seconds since 1970.
    pub issued_at: Option<u64>,
    /// Seconds since 1970; the token is refused from then on.
    pub expires_at: u64,
}

impl AccessToken {
    /// The chain of actors, the present one first, at most 4. Only the first may count in a decision (RFC 8693 section 4.1).
    pub fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.actor.iter().flat_map(Actor::chain)
    }
}

impl Principal {
    /// The `sub` claim.
    pub fn subject(&self) -> &str {
        match self {
            Self::User(user) => &user.sub,
            Self::Service(service) => &service.client_id,
        }
    }

    /// The client that got the token.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::User(user) => user.client_id.as_deref(),
            Self::Service(service) => Some(&service.client_id),
        }
    }

    /// The organization, when the token carries one.
    pub fn org_id(&self) -> Option<&str> {
        match self {
            Self::User(user) => user.org_id.as_deref(),
            Self::Service(service) => service.org_id.as_deref(),
        }
    }

    /// The scope as it stands in the token, without what it implies.
    pub fn scope(&self) -> &Scope {
        match self {
            Self::User(user) => &user.scope,
            Self::Service(service) => &service.scope,
        }
    }

    /// Roles.
    pub fn roles(&self) -> &[String] {
        match self {
            Self::User(user) => &user.roles,
            Self::Service(service) => &service.roles,
        }
    }

    /// Permissions.
    pub fn permissions(&self) -> &[String] {
        match self {
            Self::User(user) => &user.permissions,
            Self::Service(service) => &service.permissions,
        }
    }
}
