//! Counting a request: what it counts as, what is recorded, and how a refusal is answered.

use std::time::Duration;

use tokensmith_oauth2::ClientId;
use tokensmith_store::{AuditEvent, StoreError, UserId};

use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, OAuthError},
};

/// What a request counts as.
#[derive(Clone, Copy, Debug)]
pub enum Counted<'a> {
    /// One to the older machine-to-machine paths, of a client at an address; without a client, of the address.
    Machine(Option<&'a ClientId>),
    /// One of a client at an address.
    Client(&'a ClientId),
    /// One of a user, from wherever.
    Account(&'a UserId),
    /// One that needs a scope.
    Scope {
        /// The scope.
        scope: &'a str,
        /// Who uses it, as audit lines say it.
        actor: &'a str,
    },
    /// One of an address to a path.
    Endpoint(&'a str),
}

/// Why a request may not go on.
#[derive(Debug)]
pub enum Uncounted {
    /// The limit was reached.
    Limited(Duration),
    /// The refusal could not be recorded.
    Store(StoreError),
}

/// Counts a request against the limit it falls under, if there is one. The first refusal in a row is recorded; the
/// others are metrics alone, or a flood would fill the log.
///
/// # Errors
/// [`Uncounted`].
pub async fn count(
    app: &App,
    counted: Counted<'_>,
    context: &RequestContext,
) -> Result<(), Uncounted> {
    let decision = app.limits().request(counted, context.ip, context.now);
    let Some(decision) = decision.await else {
        return Ok(());
    };
    let (limit, limited) = (decision.limit.clone(), decision.limited);
    if let Some(shown) = &context.limits {
        shown.add(decision);
    }
    let Some(limited) = limited else {
        return Ok(());
    };
    if limited.is_first {
        let event = counted.names(AuditEvent::new("rate_limit_exceeded").outcome(limit));
        app.audit(context.audit(None), event)
            .await
            .map_err(Uncounted::Store)?;
    }
    Err(Uncounted::Limited(limited.retry_after))
}

impl Counted<'_> {
    fn names(self, mut event: AuditEvent) -> AuditEvent {
        match self {
            Self::Machine(client) => event.client_id = client.map(ToString::to_string),
            Self::Client(client) => event = event.client(client),
            Self::Account(user) => event = event.user(user),
            Self::Scope { actor, .. } => match actor.split_once(':') {
                Some(("client", id)) => event = event.client(id),
                Some((_, id)) => event = event.user(id),
                None => {}
            },
            Self::Endpoint(_) => {}
        }
        event
    }
}

impl From<Uncounted> for ApiError {
    fn from(why: Uncounted) -> Self {
        match why {
            Uncounted::Limited(wait) => Self::rate_limited(wait),
            Uncounted::Store(error) => error.into(),
        }
    }
}

impl From<Uncounted> for OAuthError {
    fn from(why: Uncounted) -> Self {
        match why {
            Uncounted::Limited(wait) => Self::rate_limited(wait),
            Uncounted::Store(error) => error.into(),
        }
    }
}
