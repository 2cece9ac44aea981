//! What follows a proved sign-in, whichever way it was proved: the organization its tokens speak of, and a session.
//! Every sign-in ends here, and nothing else opens a session.

use http::{HeaderMap, header};
use tokensmith_store::{
    Authentication, OpenSession, OrganizationId, SessionId, SessionOpening, User,
};

use super::device;
use crate::{
    app::App,
    context::RequestContext,
    error::ApiError,
    token::{Grant, Redemption, Subject, UserSubject, UserTokens, account_client, issue_to_user},
};

/// What is kept of a user agent.
const LONGEST_USER_AGENT: usize = 256;

/// Somebody who has just proved who they are.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// Who.
    pub user: &'a User,
    /// The organization that was asked for.
    pub org: Option<&'a OrganizationId>,
    /// How it was proved.
    pub authentication: &'a Authentication,
    /// The header fields of the request.
    pub headers: &'a HeaderMap,
}

/// Opens a session.
///
/// # Errors
/// 403 for an organization the user does not belong to, 401 for a user who was disabled in the meantime, 503.
pub async fn begin(
    app: &App,
    sign_in: SignIn<'_>,
    context: &RequestContext,
) -> Result<UserSubject, ApiError> {
    let user = sign_in.user;
    let org_id = organization(app, user, sign_in.org).await?;
    let session_id = SessionId::from(app.entropy().uuid(context.now));
    let user_agent = user_agent(sign_in.headers);
    let settings = &app.config().session;
    let lifetime = settings.lifetime;
    let session = OpenSession {
        id: session_id.clone(),
        user_id: user.id.clone(),
        org_id: org_id.clone(),
        device: device::name(user_agent.as_deref().unwrap_or_default()),
        user_agent,
        authentication: sign_in.authentication.clone(),
        expires_at: context.now + lifetime.unwrap_or(app.config().tokens.refresh_token_lifetime),
        idle: settings.idle_lifetime,
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    match app.store().write(session).await? {
        SessionOpening::Opened { .. } => Ok(UserSubject {
            user_id: user.id.clone(),
            org_id,
            session_id,
        }),
        SessionOpening::Refused => {
            let sentence = "The account cannot sign in.";
            Err(ApiError::unauthorized("user_disabled", sentence))
        }
    }
}

/// The first tokens in a session.
///
/// # Errors
/// As [`crate::token::issue`].
pub async fn tokens(
    app: &App,
    subject: UserSubject,
    context: &RequestContext,
) -> Result<UserTokens, ApiError> {
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
    asked: Option<&OrganizationId>,
) -> Result<Option<OrganizationId>, ApiError> {
    let Some(asked) = asked else {
        let membership = app.store().default_membership(&user.id).await?;
        return Ok(membership.map(|membership| membership.org_id));
    };
    match app.store().membership(asked, &user.id).await? {
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
