//! Tokens that were made of others (RFC 8693): whatever ends one of those ends them, too.

use tokensmith_oauth2::{Ancestor, ClientId, Lineage};
use tokensmith_store::{SessionId, Timestamp, TokenSubjects, UserId};

use super::{invalid, malformed};
use crate::{app::App, error::ApiError};

/// Whether nothing has ended of what a token was made of. Most tokens were made of no other.
pub(super) async fn check(
    app: &App,
    lineage: &Lineage,
    issued_at: Timestamp,
    now: Timestamp,
) -> Result<(), ApiError> {
    for ancestor in lineage.iter() {
        check_ancestor(app, ancestor, issued_at, now).await?;
    }
    Ok(())
}

pub(super) async fn check_ancestor(
    app: &App,
    ancestor: &Ancestor,
    issued_at: Timestamp,
    now: Timestamp,
) -> Result<(), ApiError> {
    let client_id = ClientId::parse(&ancestor.client_id).map_err(|_| malformed())?;
    let user: Option<UserId> = ancestor.sub.as_deref().and_then(|sub| sub.parse().ok());
    let session = ancestor.sid.as_deref().map(str::parse::<SessionId>);
    let session = session.transpose().map_err(|_| malformed())?;
    let subjects = TokenSubjects {
        token: Some(&ancestor.jti),
        session: ancestor.sid.as_deref(),
        user: user.as_ref().map(UserId::as_str),
        client: Some(client_id.as_str()),
        grant: ancestor.grant_id.as_deref(),
        organization: None,
        issued_at,
    };
    let (client, is_revoked) = tokio::try_join!(
        app.registry().client(app.store(), &client_id),
        app.store().token_is_revoked(&subjects)
    )?;
    if is_revoked || !client.is_some_and(|client| client.client.is_active) {
        return Err(invalid("ancestor_revoked"));
    }
    let Some(user) = user else { return Ok(()) };
    let shown = app
        .store()
        .shown_token(&user, session.as_ref(), &ancestor.jti, now);
    let shown = shown.await?.ok_or_else(|| invalid("actor_not_active"))?;
    if session.is_some() && !shown.session_is_live {
        return Err(invalid("actor_session_over"));
    }
    Ok(())
}
