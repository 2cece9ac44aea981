//! Whether a user proved who they are just now, with all they have: what changes factors or a password asks for it.

use tokensmith_store::{AssuranceLevel, SecondFactors, Session};

use crate::{app::App, caller::UserCaller, context::RequestContext, error::ApiError};

/// The session of a user who has just proved who they are, with a second factor if they have one.
///
/// # Errors
/// 403 `reauth_required`, 503.
pub async fn recent(
    app: &App,
    user: &UserCaller,
    context: &RequestContext,
) -> Result<Session, ApiError> {
    let session = current(app, user).await?;
    check_recent(app, &session, context).await?;
    Ok(session)
}

/// The same of a session that is at hand.
///
/// # Errors
/// 403 `reauth_required`, 503.
pub async fn check_recent(
    app: &App,
    session: &Session,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let factors = app.store().second_factors(&session.user_id, None).await?;
    is_recent(app, session, factors, context)
        .then_some(())
        .ok_or_else(reauth_required)
}

/// The session of this request.
///
/// # Errors
/// 403 for a token that belongs to no session, 503.
pub async fn current(app: &App, user: &UserCaller) -> Result<Session, ApiError> {
    let Some(id) = &user.session_id else {
        return Err(reauth_required());
    };
    let session = app.store().session(id).await?;
    session.ok_or_else(reauth_required)
}

/// Whether that is so of a session and what its user has.
pub fn is_recent(
    app: &App,
    session: &Session,
    factors: SecondFactors,
    context: &RequestContext,
) -> bool {
    let proved = &session.authentication;
    let age = context.now.since(proved.at);
    let is_full = !factors.exist() || proved.level >= AssuranceLevel::Two;
    is_full && age <= app.config().session.recent_authentication
}

fn reauth_required() -> ApiError {
    let sentence = "Prove again who you are: sign in, or use /api/auth/reauthenticate.";
    ApiError::forbidden("reauth_required", sentence)
}
