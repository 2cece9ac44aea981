//! What follows a proved sign-in: the organization the tokens speak of, a session, and the first tokens in it.

use http::{HeaderMap, header};
use tokensmith_store::{OpenSession, OrganizationId, SessionId, User};

use crate::{
    app::App,
    context::RequestContext,
    error::ApiError,
    token::{Grant, Redemption, Subject, UserSubject, UserTokens, account_client, issue_to_user},
};

/// What is kept of a user agent.
const LONGEST_USER_AGENT: usize = 256;

pub(super) async fn begin(
    app: &App,
    user: &User,
    org: Option<OrganizationId>,
    headers: &HeaderMap,
    context: &RequestContext,
) -> Result<UserTokens, ApiError> {
    let org_id = organization(app, user, org).await?;
    let session_id = SessionId::from(app.entropy().uuid(context.now));
    let session = OpenSession {
        id: session_id.clone(),
        user_id: user.id.clone(),
        org_id: org_id.clone(),
        user_agent: user_agent(headers),
        expires_at: context.now + app.config().tokens.refresh_token_lifetime,
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    if !app.store().write(session).await? {
        return Err(super::wrong());
    }
    let subject = UserSubject {
        user_id: user.id.clone(),
        org_id,
        session_id,
    };
    let client = account_client(app).await?;
    let scope = client.client.scope.clone();
    let grant = Grant {
        default_scope: Some(scope.clone()),
        redemption: Redemption::NewFamily,
        ..Grant::new("password", Subject::User(subject), scope)
    };
    Ok(issue_to_user(app, &client, grant, context).await?)
}

/// The organization asked for, if the user belongs to it; else the one the user has belonged to longest.
async fn organization(
    app: &App,
    user: &User,
    asked: Option<OrganizationId>,
) -> Result<Option<OrganizationId>, ApiError> {
    let Some(asked) = asked else {
        let membership = app.store().default_membership(&user.id).await?;
        return Ok(membership.map(|membership| membership.org_id));
    };
    match app.store().membership(&asked, &user.id).await? {
        Some(membership) => Ok(Some(membership.org_id)),
        None => {
            let sentence = "You are not a member of this organization.";
            Err(ApiError::forbidden("not_a_member", sentence))
        }
    }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::USER_AGENT)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    Some(text.chars().take(LONGEST_USER_AGENT).collect())
}
