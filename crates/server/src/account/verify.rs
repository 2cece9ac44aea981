//! `POST /api/auth/verify-code` and `/api/auth/resend-code`: proving that an address is one's own. What they answer
//! does not depend on whether an address has an account, but for the one whose code it is.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_store::{ChangeEmail, EmailChange, ProofKind, User, VerifyEmail};

use super::{
    ask::{self, Asked},
    proof::{Found, Shows},
};
use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, ApiJson, no_store},
    mail::{self, Message},
};

/// One sentence.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Told {
    pub(super) message: &'static str,
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let mut response = Json(self).into_response();
        no_store(response.headers_mut());
        response
    }
}

/// `POST /api/auth/verify-code`: proves that an address is the caller's, by a link's token or by a code.
///
/// # Errors
/// 400 with one sentence for whatever is no good, 422, 429, 503.
#[utoipa::path(post, path = "/api/auth/verify-code", request_body = Shows, responses((status = 200, body = Told), (status = 400), (status = 429), (status = 503)), operation_id = "verify_code", security(()))]
pub async fn verify_code(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(shows): ApiJson<Shows>,
) -> Result<Told, ApiError> {
    verified(&app, &shows, &context).await?;
    let message = "Your e-mail address is confirmed.";
    Ok(Told { message })
}

/// Calls the address proved for which this was sent.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn verified(
    app: &App,
    shows: &Shows,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let attempt = ask::attempt(app, shows, context)?;
    let found = shows.find(app, ProofKind::VerifyEmail, context.now).await?;
    let is_right = match found {
        Some(found) => spent(app, found, context).await?,
        None if shows.token.is_some() => email_changed(app, shows, context).await?,
        None => None,
    };
    match is_right {
        Some(true) => Ok(()),
        Some(false) => Err(ask::counted(app, &attempt, context).await),
        None => Err(ask::failed(app, &attempt, context).await?),
    }
}

async fn spent(
    app: &App,
    found: Found,
    context: &RequestContext,
) -> Result<Option<bool>, ApiError> {
    let verify = VerifyEmail {
        user_id: found.user_id.clone(),
        shown: found.shown,
        context: context.audit(Some(format!("user:{}", found.user_id))),
    };
    Ok(Some(app.store().write(verify).await?))
}

/// A link that was sent to a new address confirms that one; `None` if there was no such link.
async fn email_changed(
    app: &App,
    shows: &Shows,
    context: &RequestContext,
) -> Result<Option<bool>, ApiError> {
    let found = shows.find(app, ProofKind::ChangeEmail, context.now).await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let Some(user) = app.store().user(&found.user_id).await? else {
        return Ok(None);
    };
    let change = ChangeEmail {
        user_id: found.user_id,
        shown: found.shown,
        mail: mail::compose(app, &Message::EmailChanged, &user.email, context.now)?,
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    let change = app.store().write(change).await?;
    app.mailer().wake();
    Ok(Some(change == EmailChange::Done))
}

/// The body of what asks for a mail.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct MailRequest {
    pub(crate) email: String,
}

/// `POST /api/auth/resend-code`: sends a new code. The answer is the same for every address.
///
/// # Errors
/// 422, 429, 503.
#[utoipa::path(post, path = "/api/auth/resend-code", request_body = MailRequest, responses((status = 202, body = Told), (status = 429), (status = 503)), operation_id = "resend_code", security(()))]
pub async fn resend_code(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<MailRequest>,
) -> Result<(StatusCode, Told), ApiError> {
    resent(&app, &request.email, &context).await?;
    let message = "If this address waits for a confirmation, a new code is on its way.";
    Ok((StatusCode::ACCEPTED, Told { message }))
}

/// Sends the owner of an address a new code, if it still is to be proved.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn resent(
    app: &App,
    email: &str,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let asked = Asked {
        kind: ProofKind::VerifyEmail,
        may_have: |user: &User| user.is_active && user.email_verified_at.is_none(),
        message: |code, token| Message::VerifyEmail { code, token },
    };
    ask::send(app, email, &asked, context).await
}
