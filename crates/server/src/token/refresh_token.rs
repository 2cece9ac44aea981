//! The refresh token grant (RFC 6749 §6): the scope may narrow, never widen, and the grant stays as it was given.
//! The token is spent in the gate, after every other check, so a refused request costs nobody their token.

use tokensmith_oauth2::{ErrorCode, Scope, Secret};
use tokensmith_store::{AuditEvent, RefreshFamily, TokenNames};

use super::{Call, Grant, Redemption, Subject, UserSubject, family::refused, imported};
use crate::{app::App, context::RequestContext, error::OAuthError, registry::RegisteredClient};

pub(super) async fn grant(call: Call<'_>) -> Result<Grant, OAuthError> {
    let missing = || {
        let sentence = "The parameter refresh_token is missing.";
        OAuthError::invalid_request("refresh_token_missing", sentence)
    };
    let token = call.form.one("refresh_token")?.ok_or_else(missing)?;
    present(call.app, call.client, &Secret::from(token), call.context).await
}

/// What a client may ask for with this refresh token.
///
/// # Errors
/// `invalid_grant` when the token was not written here or belongs to another client.
pub async fn present(
    app: &App,
    client: &RegisteredClient,
    token: &Secret,
    context: &RequestContext,
) -> Result<Grant, OAuthError> {
    let refuse = async |names, refusal| refuse(app, client, context, names, refusal).await;
    let Some(presented) = imported::presented(app, token).await? else {
        return refuse(TokenNames::default(), "refresh_token_malformed").await;
    };
    let Some(family) = app.store().refresh_family(&presented.family).await? else {
        let names = TokenNames {
            grant_id: Some(presented.family.to_string()),
            ..TokenNames::default()
        };
        return refuse(names, "refresh_token_unknown").await;
    };
    if family.client_id != client.client.client_id {
        return refuse(family.names(), "refresh_token_of_another_client").await;
    }
    if family.root_key != app.refresh_root().id() {
        return refuse(family.names(), "refresh_token_of_another_key").await;
    }
    let about = |error: OAuthError| error.about(family.names());
    let default_scope = still_allowed(client, &family).map_err(about)?;
    let allowed = app.registry().declared().hierarchy.closure(&default_scope);
    Ok(Grant {
        default_scope: Some(default_scope),
        redemption: Redemption::RefreshToken(presented),
        subject: subject(&family).map_err(about)?,
        granted_resources: family.resources,
        bound_to: family.confirmation,
        ..Grant::new("refresh_token", Subject::Client, allowed)
    })
}

/// What was granted, less what the client has lost since.
fn still_allowed(client: &RegisteredClient, family: &RefreshFamily) -> Result<Scope, OAuthError> {
    let scope = family.scope.intersection(&client.allowed_scope);
    if scope.is_empty() {
        let sentence = "The client may no longer ask for anything of what was granted.";
        return Err(OAuthError::new(
            ErrorCode::InvalidScope,
            "nothing_left_of_grant",
            sentence,
        ));
    }
    Ok(scope)
}

fn subject(family: &RefreshFamily) -> Result<Subject, OAuthError> {
    match (&family.user_id, &family.session_id) {
        (None, None) => Ok(Subject::Client),
        (Some(user), Some(session)) => Ok(Subject::User(UserSubject {
            user_id: user.clone(),
            org_id: family.org_id.clone(),
            session_id: session.clone(),
        })),
        _ => Err(refused("family_without_session")),
    }
}

/// Recorded here, with the family as soon as it is known: its timeline must tell of every presentation.
async fn refuse(
    app: &App,
    client: &RegisteredClient,
    context: &RequestContext,
    names: TokenNames,
    refusal: &'static str,
) -> Result<Grant, OAuthError> {
    let client = &client.client.client_id;
    let event = AuditEvent::new("refresh_token_invalid")
        .client(client)
        .outcome(refusal)
        .names(&names);
    app.audit(context.audit(Some(format!("client:{client}"))), event)
        .await?;
    Err(refused(refusal).about(names))
}
