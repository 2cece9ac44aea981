//! `POST /api/oauth2/change-password` and `/api/auth/account/email`: changes that take the present password, and mail.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::{
    ChangePassword, Mailing, PasswordHash, ProofKind, SendProof, SessionId, User,
};

use super::{ask, password, proof, rules, verify::Told};
use crate::{
    app::App,
    caller::{Caller, UserCaller},
    context::RequestContext,
    error::{ApiError, ApiJson},
    mail::{self, Message},
    token::longest_user_token,
};

/// The body of a change of password.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct PasswordChange {
    #[schema(value_type = String)]
    pub(crate) current_password: Secret,
    #[schema(value_type = String)]
    pub(crate) new_password: Secret,
}

/// What a change of password ended.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PasswordChanged {
    message: &'static str,
    ended_sessions: u64,
    revoked_tokens: u64,
}

/// `POST /api/oauth2/change-password`: changes the password and ends every other session.
///
/// # Errors
/// 401, 403 for a service and for a wrong password, 409, 422, 429, 503.
#[utoipa::path(post, path = "/api/oauth2/change-password", request_body = PasswordChange, responses((status = 200, body = PasswordChanged), (status = 409), (status = 429), (status = 503)), operation_id = "change_password")]
pub async fn change_password(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<PasswordChange>,
) -> Result<Json<PasswordChanged>, ApiError> {
    let caller = caller.user()?;
    let user = account(&app, &caller).await?;
    let session = caller.session_id.as_ref();
    let ended = changed(&app, &user, session, &request, &context).await?;
    Ok(Json(PasswordChanged {
        message: "Your password is changed. Every other session has ended.",
        ended_sessions: ended.sessions,
        revoked_tokens: ended.families,
    }))
}

/// The record of who calls.
///
/// # Errors
/// 401 if it is gone, 503.
pub(super) async fn account(app: &App, caller: &UserCaller) -> Result<User, ApiError> {
    let user = app.store().user(&caller.user_id).await?;
    user.ok_or_else(|| ApiError::unauthorized("no_such_user", "The account is gone."))
}

/// Changes a password, in the session that goes on.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn changed(
    app: &App,
    user: &User,
    session: Option<&SessionId>,
    request: &PasswordChange,
    context: &RequestContext,
) -> Result<tokensmith_store::SessionsEnded, ApiError> {
    rules::check_password(&request.new_password)?;
    password::prove(app, user, &request.current_password, context).await?;
    password::check_for(app, &request.new_password, user).await?;
    let hash = password::hashed(app, &request.new_password).await?;
    let mail = mail::compose(app, &Message::PasswordChanged, &user.email, context.now)?;
    let operation = ChangePassword {
        user_id: user.id.clone(),
        old_hash: user.password_hash.clone(),
        new_hash: PasswordHash::new(hash),
        except: session.cloned(),
        revoked_until: context.now + longest_user_token(app),
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    let change = Mailing {
        operation,
        mail,
        when: Option::is_some,
        now: context.now,
    };
    let ended = app.store().write(change).await?;
    app.mailer().wake();
    let meanwhile = || {
        let sentence = "The password was changed meanwhile. Sign in with the new one.";
        ApiError::conflict("password_changed_meanwhile", sentence)
    };
    ended.ok_or_else(meanwhile)
}

/// The body of a change of address.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct EmailChange {
    email: String,
    #[schema(value_type = String)]
    password: Secret,
}

/// `POST /api/auth/account/email`: the account keeps its address until the link in the mail to the new one is used.
///
/// # Errors
/// 401, 403 for a service and for a wrong password, 422, 429, 503.
#[utoipa::path(post, path = "/api/auth/account/email", request_body = EmailChange, responses((status = 202, body = Told), (status = 429), (status = 503)), operation_id = "change_email")]
pub async fn change_email(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<EmailChange>,
) -> Result<(StatusCode, Told), ApiError> {
    let caller = caller.user()?;
    rules::check_email(&request.email)?;
    let user = account(&app, &caller).await?;
    password::prove(&app, &user, &request.password, &context).await?;
    let counted = app.limits().count_mail(context.ip, context.now).await;
    counted.map_err(ask::limited)?;
    send_to_new(&app, &user, &request.email, &context).await?;
    let message = "If this address can be yours, a mail with a link is on its way to it.";
    Ok((StatusCode::ACCEPTED, Told { message }))
}

/// Whoever has the address already is not bothered; whoever asked is not told.
async fn send_to_new(
    app: &App,
    user: &User,
    email: &str,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let owner = app.store().user_by_login(email).await?;
    let made = proof::make(app, ProofKind::ChangeEmail, &user.id, email, context.now);
    let message = Message::ChangeEmail { token: made.token };
    let mail = mail::compose(app, &message, email, context.now)?;
    if owner.is_some_and(|owner| owner.id != user.id) {
        return ask::record(app, ProofKind::ChangeEmail, context).await;
    }
    let send = SendProof {
        proof: made.proof,
        mail,
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    app.store().write(send).await?;
    app.mailer().wake();
    Ok(())
}
