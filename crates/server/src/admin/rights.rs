//! Who may administer, and how far. A service's rights are the scope of its token; a user's are the permissions of the
//! user's roles, read anew for each request; a client that acts for a user has what both have.
//!
//! "May I give this?" is answered over the closure: whoever may only manage clients gives no scope, resource, grant, role
//! or further metadata beyond what the own token and the own client hold, and touches no client that holds more.

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokensmith_oauth2::{ErrorCode, Scope, challenge};
use tokensmith_store::{Client, ClientMetadata, Declaration, DeclarationKind, Giver, UserId};

use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::ApiError,
    registry::{ACCOUNT_CLIENT, ADMIN, CLIENTS, READ, RegisteredClient, USERS},
};

/// How far somebody may go. Each holds what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Nothing,
    Read,
    Clients,
    Admin,
}

impl Level {
    fn of<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let level = |token| match token {
            ADMIN => Self::Admin,
            CLIENTS => Self::Clients,
            READ | USERS => Self::Read,
            _ => Self::Nothing,
        };
        tokens.into_iter().map(level).max().unwrap_or(Self::Nothing)
    }
}

/// A caller who may at least read.
pub(super) struct Administrator {
    level: Level,
    /// Whether users may be managed, within what the caller holds.
    manages_users: bool,
    /// The caller, if it is a user.
    pub(super) user: Option<UserId>,
    /// What the token permits, with everything that follows from it.
    holds: Scope,
    client: std::sync::Arc<RegisteredClient>,
    pub(super) actor: String,
    pub(super) context: RequestContext,
}

impl FromRequestParts<App> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let Ok(context) = RequestContext::from_request_parts(parts, app).await;
        let (level, manages_users) = rights(app, &caller).await?;
        if level < Level::Read {
            return Err(lacks(READ));
        }
        let (scope, client_id) = match &caller {
            Caller::User(user) => (&user.scope, &user.client_id),
            Caller::Service(service) => (&service.scope, &service.client_id),
        };
        let client = app.registry().client(app.store(), client_id).await?;
        let client = client.ok_or_else(|| lacks(READ))?;
        Ok(Self {
            level,
            manages_users,
            user: caller.user_id().cloned(),
            holds: app.registry().declared().hierarchy.closure(scope),
            client,
            actor: caller.actor(),
            context,
        })
    }
}

/// How far the caller may go, and whether users may be managed.
async fn rights(app: &App, caller: &Caller) -> Result<(Level, bool), ApiError> {
    let of_scope = |scope: &Scope| {
        let manages_users = scope.iter().any(|token| [ADMIN, USERS].contains(&token));
        (Level::of(scope.iter()), manages_users)
    };
    let user = match caller {
        Caller::Service(service) => return Ok(of_scope(&service.scope)),
        Caller::User(user) => user,
    };
    let record = app.store().user(&user.user_id).await?;
    let roles = record.map(|record| record.roles).unwrap_or_default();
    let permissions = app.registry().declared().permissions_of(&roles);
    let by_role = Level::of(permissions.iter().map(String::as_str));
    let manages_users = permissions.contains(USERS);
    if user.client_id.as_str() == ACCOUNT_CLIENT {
        return Ok((by_role, manages_users));
    }
    let (level, by_scope) = of_scope(&user.scope);
    Ok((by_role.min(level), manages_users && by_scope))
}

fn lacks(scope: &'static str) -> ApiError {
    let mut challenge = challenge::Bearer::new().error(ErrorCode::InsufficientScope);
    if let Ok(scope) = Scope::parse(scope) {
        challenge = challenge.scope(&scope);
    }
    let sentence = format!("This needs the scope, or for users the permission, {scope}.");
    ApiError::forbidden("insufficient_scope", sentence).with_challenge(challenge)
}

/// Whether somebody may see what only administrators see.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn may_read(app: &App, caller: &Caller) -> Result<bool, ApiError> {
    Ok(rights(app, caller).await?.0 >= Level::Read)
}

impl Administrator {
    /// Whether the server itself may be worked on.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_operate(&self) -> Result<(), ApiError> {
        let is_admin = self.level == Level::Admin;
        is_admin.then_some(()).ok_or_else(|| lacks(ADMIN))
    }

    /// Whether records of this kind may be changed at all.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_write(&self, kind: DeclarationKind) -> Result<(), ApiError> {
        let needed = match kind {
            DeclarationKind::Client => (Level::Clients, CLIENTS),
            _ => (Level::Admin, ADMIN),
        };
        if self.level < needed.0 {
            return Err(lacks(needed.1));
        }
        Ok(())
    }

    /// Whether the caller may everything.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_everything(&self) -> Result<(), ApiError> {
        if self.level < Level::Admin {
            return Err(lacks(ADMIN));
        }
        Ok(())
    }

    /// Who gives a role, if the caller may assign roles over the whole server. A service holds scopes, no permissions, so
    /// it gives nothing unless it may everything.
    ///
    /// # Errors
    /// 403.
    pub(super) fn giver(&self) -> Result<Giver, ApiError> {
        match &self.user {
            Some(user) if self.manages_users => Ok(Giver::User(user.clone())),
            None if self.level == Level::Admin => Ok(Giver::Operator),
            Some(_) => Err(lacks(USERS)),
            None => Err(lacks(ADMIN)),
        }
    }

    /// Whether this record may be touched, as it is and as it should be.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_touch(&self, record: &Declaration) -> Result<(), ApiError> {
        self.may_write(record.kind())?;
        let Declaration::Client(client) = record else {
            return Ok(());
        };
        if client.client_id.as_str() == ACCOUNT_CLIENT {
            let sentence = "This client belongs to the server itself.";
            return Err(ApiError::forbidden("client_of_the_server", sentence));
        }
        if self.level == Level::Admin {
            return Ok(());
        }
        match self.beyond(client) {
            None => Ok(()),
            Some(what) => {
                let sentence =
                    format!("The client has, or would have, {what} that you do not hold yourself.");
                Err(ApiError::forbidden("beyond_own_rights", sentence))
            }
        }
    }

    /// What a client holds beyond the caller, in one word or two.
    fn beyond(&self, client: &Client) -> Option<&'static str> {
        let own = &self.client.client;
        let gives_scope = client.scope.iter().all(|token| self.holds.contains(token));
        let gives_resources = client
            .resources
            .iter()
            .all(|uri| own.resources.contains(uri))
            && (own.resources.is_empty() || !client.resources.is_empty());
        let gives_grants = client
            .grant_types
            .iter()
            .all(|grant| own.grant_types.contains(grant));
        let gives_role = client.role.is_none() || client.role == own.role;
        let gives_life = match (client.access_token_seconds, own.access_token_seconds) {
            (None, _) => own.access_token_seconds.is_none(),
            (Some(life), own) => own.is_some_and(|own| life <= own),
        };
        let checks = [
            (gives_life, "a life of access tokens"),
            (gives_scope, "a scope"),
            (gives_resources, "a resource"),
            (gives_grants, "a grant"),
            (gives_role, "a role"),
            (
                client.metadata == ClientMetadata::default(),
                "further metadata",
            ),
        ];
        let beyond = checks.into_iter().find(|(holds, _)| !holds);
        beyond.map(|(_, what)| what)
    }
}
