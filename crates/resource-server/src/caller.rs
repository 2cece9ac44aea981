//! The caller of a request as an axum extractor, and the guards that decide what it may do.
//! Guards look at the token of this request each time; their refusal is the right response (RFC 6750 section 3.1).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use tokensmith_oauth2::Scope;

use crate::refusal::Cause;
use crate::{AccessToken, Principal, Refusal, ResourceServer, ServicePrincipal, UserPrincipal};

/// An authenticated caller.
///
/// As an extractor, `Caller` refuses a request without a good token; `Option<Caller>` lets one without any token pass,
/// and still refuses a bad one. Needs [`ResourceServer`] in the state (`FromRef`), and uses what the layer found if there
/// is one. Under the layer, `Extension<Caller>` works without any state.
#[derive(Clone)]
pub struct Caller {
    token: Arc<AccessToken>,
    server: ResourceServer,
}

impl Caller {
    pub(crate) fn new(token: Arc<AccessToken>, server: ResourceServer) -> Self {
        Self { token, server }
    }

    pub(crate) fn server(&self) -> &ResourceServer {
        &self.server
    }

    /// The verified token.
    pub fn token(&self) -> &AccessToken {
        &self.token
    }

    /// Who is calling.
    pub fn principal(&self) -> &Principal {
        &self.token.principal
    }

    /// The `sub` claim: a user's UUID or a client id.
    pub fn subject(&self) -> &str {
        self.principal().subject()
    }

    /// The person who is calling.
    ///
    /// # Errors
    /// 403 for a service.
    pub fn require_user(&self) -> Result<&UserPrincipal, Refusal> {
        match self.principal() {
            Principal::User(user) => Ok(user),
            Principal::Service(_) => Err(self.forbidden("only a user may do this")),
        }
    }

    /// The service that is calling.
    ///
    /// # Errors
    /// 403 for a user.
    pub fn require_service(&self) -> Result<&ServicePrincipal, Refusal> {
        match self.principal() {
            Principal::Service(service) => Ok(service),
            Principal::User(_) => Err(self.forbidden("only a service may do this")),
        }
    }

    /// Whether the token's scope holds `scope`, or one that implies it.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.server
            .shared()
            .hierarchy
            .permits(self.principal().scope(), scope)
    }

    /// Requires a scope.
    ///
    /// # Errors
    /// 403 `insufficient_scope` that names it.
    pub fn require_scope(&self, scope: &str) -> Result<&Self, Refusal> {
        self.require_any_scope(&[scope])
    }

    /// Requires any of these scopes; name the narrowest first.
    ///
    /// # Errors
    /// 403 `insufficient_scope` that names the first.
    pub fn require_any_scope(&self, scopes: &[&str]) -> Result<&Self, Refusal> {
        if scopes.iter().any(|scope| self.has_scope(scope)) {
            return Ok(self);
        }
        let first = scopes.first().and_then(|scope| Scope::parse(scope).ok());
        Err(self.server.refusal(Cause::Scope(first.unwrap_or_default())))
    }

    /// Requires a permission.
    ///
    /// # Errors
    /// 403.
    pub fn require_permission(&self, permission: &str) -> Result<&Self, Refusal> {
        self.require_any_permission(&[permission])
    }

    /// Requires any of these permissions.
    ///
    /// # Errors
    /// 403.
    pub fn require_any_permission(&self, permissions: &[&str]) -> Result<&Self, Refusal> {
        self.require(
            holds_any(self.principal().permissions(), permissions),
            "a permission is missing",
        )
    }

    /// Requires a role.
    ///
    /// # Errors
    /// 403.
    pub fn require_role(&self, role: &str) -> Result<&Self, Refusal> {
        self.require_any_role(&[role])
    }

    /// Requires any of these roles.
    ///
    /// # Errors
    /// 403.
    pub fn require_any_role(&self, roles: &[&str]) -> Result<&Self, Refusal> {
        self.require(
            holds_any(self.principal().roles(), roles),
            "a role is missing",
        )
    }

    /// Requires a sign-in with one of these `acr` values (none: any), at most so long ago (RFC 9470).
    ///
    /// # Errors
    /// 401 `insufficient_user_authentication` with `acr_values` and `max_age`: the client asks its user to sign in so.
    pub fn require_authentication(
        &self,
        acr_values: &[&str],
        max_age: Option<Duration>,
    ) -> Result<&Self, Refusal> {
        let max_age = max_age.map(|age| age.as_secs());
        let reached = |acr: &String| acr_values.contains(&acr.as_str());
        let is_enough = acr_values.is_empty() || self.token.acr.as_ref().is_some_and(reached);
        let now = self.server.shared().clock.now();
        let is_recent = max_age.is_none_or(|age| {
            let at = self.token.auth_time;
            at.is_some_and(|at| now <= at.saturating_add(age))
        });
        if is_enough && is_recent {
            return Ok(self);
        }
        let cause = Cause::Authentication(acr_values.join(" "), max_age);
        Err(self.server.refusal(cause))
    }

    fn require(&self, holds: bool, missing: &'static str) -> Result<&Self, Refusal> {
        if holds {
            Ok(self)
        } else {
            Err(self.forbidden(missing))
        }
    }

    fn forbidden(&self, detail: &'static str) -> Refusal {
        self.server.refusal(Cause::Forbidden(detail))
    }
}

fn holds_any(held: &[String], wanted: &[&str]) -> bool {
    held.iter().any(|held| wanted.contains(&held.as_str()))
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({})", self.subject())
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    ResourceServer: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let server = ResourceServer::from_ref(state);
        find(&server, parts)
            .await?
            .ok_or_else(|| server.refusal(Cause::NoToken))
    }
}

impl<S> OptionalFromRequestParts<S> for Caller
where
    S: Send + Sync,
    ResourceServer: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Refusal> {
        find(&ResourceServer::from_ref(state), parts).await
    }
}

/// What the layer or an extractor of the same server found before, else what the request says: a proof is good once,
/// so a request is judged once.
pub(crate) async fn find(
    server: &ResourceServer,
    parts: &mut Parts,
) -> Result<Option<Caller>, Refusal> {
    let found = parts.extensions.get::<Caller>();
    if let Some(caller) = found.filter(|caller| caller.server().is_same(server)) {
        return Ok(Some(caller.clone()));
    }
    let caller = server.authenticate(parts).await?;
    if let Some(caller) = &caller {
        parts.extensions.insert(caller.clone());
    }
    Ok(caller)
}
