//! What follows a proved sign-in, whichever way it was proved: the organization its tokens speak of, and a session.
//! Every sign-in ends here, and nothing else opens a session.

use http::{HeaderMap, header};
use tokensmith_oauth2::Secret;
use tokensmith_store::{
    AssuranceLevel, Authentication, Mail, OpenSession, OrganizationId, PendingPurpose,
    PendingSignIn, SecondFactors, SessionId, SessionOpening, User,
};

use super::{
    device, device_secret,
    pending::{self, Pending},
};
use crate::{
    app::App,
    context::RequestContext,
    error::ApiError,
    mail::{self, Message, SecurityNotice},
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
    /// What a remembered device holds.
    pub device: Option<&'a Secret>,
    /// The header fields of the request.
    pub headers: &'a HeaderMap,
}

/// What a sign-in came to.
#[derive(Debug)]
pub enum Begun {
    /// A session is open.
    Session(UserSubject),
    /// It waits for a second factor.
    Pending(Pending),
}

/// Opens a session, unless a second factor must be shown first.
///
/// # Errors
/// 403 for an organization the user does not belong to, 401 for a user who was disabled in the meantime, 503.
pub async fn begin(
    app: &App,
    sign_in: SignIn<'_>,
    context: &RequestContext,
) -> Result<Begun, ApiError> {
    let org_id = organization(app, sign_in.user, sign_in.org).await?;
    let user = &sign_in.user.id;
    let factors = app.store().second_factors(user, org_id.as_ref()).await?;
    if asks(app, sign_in, factors, context).await? {
        let pending = wait(app, sign_in, org_id, factors, context).await?;
        return Ok(Begun::Pending(pending));
    }
    open(app, sign_in, org_id, context)
        .await
        .map(Begun::Session)
}

/// Whether one factor is not enough: the user has another, or a rule wants one. A remembered device stands for it.
async fn asks(
    app: &App,
    sign_in: SignIn<'_>,
    factors: SecondFactors,
    context: &RequestContext,
) -> Result<bool, ApiError> {
    if sign_in.authentication.level >= AssuranceLevel::Two {
        return Ok(false);
    }
    let wanted = account_client(app).await?.client.metadata.required_acr;
    let is_required = factors.is_required
        || app.config().session.second_factor_required
        || wanted.is_some_and(|level| level >= AssuranceLevel::Two);
    if !factors.exist() {
        return Ok(is_required);
    }
    let (user, device) = (&sign_in.user.id, sign_in.device);
    let remembered = device_secret::is_remembered(app, user, device, context).await?;
    Ok(!remembered)
}

async fn wait(
    app: &App,
    sign_in: SignIn<'_>,
    org_id: Option<OrganizationId>,
    factors: SecondFactors,
    context: &RequestContext,
) -> Result<Pending, ApiError> {
    let waiting = PendingSignIn {
        user_id: Some(sign_in.user.id.clone()),
        org_id,
        authentication: Some(sign_in.authentication.clone()),
        ..pending::new(app, PendingPurpose::SecondFactor, context)
    };
    let token = pending::wait(app, waiting, context).await?;
    let recovery = factors.exist() && factors.recovery_codes > 0;
    let methods = [
        ("totp", factors.totp),
        ("passkey", factors.passkeys > 0),
        ("recovery_code", recovery),
    ];
    let methods = methods
        .into_iter()
        .filter_map(|(name, is)| is.then_some(name));
    Ok(Pending::new(token, methods.collect()))
}

async fn open(
    app: &App,
    sign_in: SignIn<'_>,
    org_id: Option<OrganizationId>,
    context: &RequestContext,
) -> Result<UserSubject, ApiError> {
    let user = sign_in.user;
    let session_id = SessionId::from(app.entropy().uuid(context.now));
    let user_agent = user_agent(sign_in.headers);
    let settings = &app.config().session;
    let lifetime = settings.lifetime;
    let user_device = device::name(user_agent.as_deref().unwrap_or_default());
    let session = OpenSession {
        mail_of_new_device: Some(of_new_device(app, user, &user_device, context)?),
        id: session_id.clone(),
        user_id: user.id.clone(),
        org_id: org_id.clone(),
        device: user_device,
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

fn of_new_device(
    app: &App,
    user: &User,
    device: &str,
    context: &RequestContext,
) -> Result<Mail, ApiError> {
    let notice = SecurityNotice::NewDevice {
        device: device.to_owned(),
        ip: context.ip.map(|ip| ip.to_string()),
    };
    let mail = mail::compose(app, &Message::Security(notice), &user.email, context.now);
    mail.map_err(ApiError::unavailable)
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
