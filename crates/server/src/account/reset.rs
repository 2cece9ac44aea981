//! `POST /api/auth/request-password-reset` and `/api/auth/reset-password`. The request tells nothing about an address;
//! the reset opens no session, ends every one there is, and leaves second factors alone.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tokensmith_oauth2::Secret;
use tokensmith_store::{PasswordHash, ProofKind, ResetPassword, ShownProof, User};

use super::{
    ask::{self, Asked},
    password,
    proof::Shows,
    verify::{MailRequest, Told},
};
use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, ApiJson},
    mail::{self, Message},
    token::longest_user_token,
};

/// `POST /api/auth/request-password-reset`: sends a link and a code. The answer is the same for every address.
///
/// # Errors
/// 422, 429, 503.
#[utoipa::path(post, path = "/api/auth/request-password-reset", request_body = MailRequest, responses((status = 202, body = Told), (status = 429), (status = 503)), operation_id = "request_password_reset", security(()))]
pub async fn request_password_reset(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<MailRequest>,
) -> Result<(StatusCode, Told), ApiError> {
    requested(&app, &request.email, &context).await?;
    let message = "If this address has an account, a mail with a link and a code is on its way.";
    Ok((StatusCode::ACCEPTED, Told { message }))
}

/// Sends the owner of an address what a new password takes.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn requested(
    app: &App,
    email: &str,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let asked = Asked {
        kind: ProofKind::ResetPassword,
        may_have: |user: &User| user.is_active,
        message: |code, token| Message::ResetPassword { code, token },
    };
    ask::send(app, email, &asked, context).await
}

/// The body of a reset.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct ResetRequest {
    #[serde(flatten)]
    pub(crate) shows: Shows,
    #[schema(value_type = String)]
    pub(crate) new_password: Secret,
}

/// `POST /api/auth/reset-password`: chooses a new password by a link's token or by a code.
///
/// # Errors
/// 400 with one sentence for a proof that is no good, 422 for a password, 429, 503.
#[utoipa::path(post, path = "/api/auth/reset-password", request_body = ResetRequest, responses((status = 200, body = Told), (status = 400), (status = 429), (status = 503)), operation_id = "reset_password", security(()))]
pub async fn reset_password(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<ResetRequest>,
) -> Result<Told, ApiError> {
    reset(&app, &request, &context).await?;
    let message = "Your password is changed and you are signed out everywhere. Sign in with it.";
    Ok(Told { message })
}

/// Chooses a new password.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn reset(
    app: &App,
    request: &ResetRequest,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let attempt = ask::attempt(app, &request.shows, context)?;
    let typed = request.shows.email.as_deref().unwrap_or_default();
    password::check(app, &request.new_password, &[typed]).await?;
    let kind = ProofKind::ResetPassword;
    let found = request.shows.find(app, kind, context.now).await?;
    let user = match &found {
        Some(found) => app.store().user(&found.user_id).await?,
        None => None,
    };
    // Hashed before it is known whether the code is right, so that the time tells nothing about the address.
    let hash = password::hashed(app, &request.new_password).await?;
    let (Some(found), Some(user)) = (found, user) else {
        return Err(ask::failed(app, &attempt, context).await?);
    };
    // Whoever shows a link is the account's owner and may know what it holds; a code may be a guess.
    if matches!(found.shown, ShownProof::Token(_)) {
        password::check_for(app, &request.new_password, &user).await?;
    }
    let mail = mail::compose(app, &Message::PasswordChanged, &user.email, context.now)?;
    let reset = ResetPassword {
        user_id: user.id.clone(),
        shown: found.shown,
        new_hash: PasswordHash::new(hash),
        revoked_until: context.now + longest_user_token(app),
        mail,
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    if app.store().write(reset).await?.is_none() {
        return Err(ask::counted(app, &attempt, context).await);
    }
    app.mailer().wake();
    Ok(())
}
