//! `GET /api/auth/2fa` says what there is; `/api/auth/2fa/recovery-codes` tells how many are left, and makes new ones.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokensmith_store::{ReplaceRecoveryCodes, SecondFactors, User};

use super::{notice::notice, recovery::RecoveryCodes};
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, no_store},
    mail::SecurityNotice,
    session,
};

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SecondFactorStatus)]
struct Status {
    enabled: bool,
    totp: bool,
    passkeys: i64,
    recovery_codes_remaining: i64,
    /// Whether a rule asks for a second factor.
    required: bool,
}

/// `GET /api/auth/2fa`: which second factors there are.
///
/// # Errors
/// 401, 403 for a service.
#[utoipa::path(get, path = "/api/auth/2fa", responses((status = 200, body = Status)), operation_id = "second_factor_status")]
pub async fn status(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let user = caller.user()?;
    let org = user.org_id.as_deref().and_then(|org| org.parse().ok());
    let factors = app
        .store()
        .second_factors(&user.user_id, org.as_ref())
        .await?;
    Ok(unstored(Status {
        enabled: factors.exist(),
        totp: factors.totp,
        passkeys: factors.passkeys,
        recovery_codes_remaining: factors.recovery_codes,
        required: factors.is_required,
    }))
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RecoveryCodesLeft)]
struct Remaining {
    remaining: i64,
}

/// `GET /api/auth/2fa/recovery-codes`: how many are left. The codes themselves are kept by nobody but the user.
///
/// # Errors
/// 401, 403 without a recent sign-in.
#[utoipa::path(get, path = "/api/auth/2fa/recovery-codes", responses((status = 200, body = Remaining)), operation_id = "recovery_codes_left")]
pub async fn remaining(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Response, ApiError> {
    let user = caller.user()?;
    session::recent(&app, &user, &context).await?;
    let factors = app.store().second_factors(&user.user_id, None).await?;
    Ok(unstored(Remaining {
        remaining: factors.recovery_codes,
    }))
}

/// New recovery codes, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RecoveryCodes)]
pub(super) struct NewCodes {
    pub(super) message: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) recovery_codes: Vec<String>,
}

/// `POST /api/auth/2fa/recovery-codes`: new ones in place of all there were.
///
/// # Errors
/// 401, 403 without a recent sign-in, 409 for a user without a second factor.
#[utoipa::path(post, path = "/api/auth/2fa/recovery-codes", responses((status = 200, body = NewCodes), (status = 409)), operation_id = "new_recovery_codes")]
pub async fn regenerate(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Response, ApiError> {
    let caller = caller.user()?;
    session::recent(&app, &caller, &context).await?;
    let user = super::totp_setup::account(&app, &caller.user_id).await?;
    Ok(unstored(NewCodes {
        message: "Keep these codes. Each is good once, and the former ones are no longer good.",
        recovery_codes: replaced(&app, &user, &context).await?,
    }))
}

/// New recovery codes in place of all there were.
///
/// # Errors
/// 409 for a user without a second factor, 503.
pub(crate) async fn replaced(
    app: &App,
    user: &User,
    context: &RequestContext,
) -> Result<Vec<String>, ApiError> {
    let factors = app.store().second_factors(&user.id, None).await?;
    if !SecondFactors::exist(&factors) {
        let sentence = "Recovery codes stand in for a second factor; set one up first.";
        return Err(ApiError::conflict("no_second_factor", sentence));
    }
    let codes = RecoveryCodes::new(app.entropy(), &user.id);
    let replace = ReplaceRecoveryCodes {
        codes: codes.kept,
        mail: notice(app, user, SecurityNotice::RecoveryCodesReplaced, context)?,
        context: context.audit(Some(format!("user:{}", user.id))),
        user_id: user.id.clone(),
    };
    app.store().write(replace).await?;
    Ok(codes.shown)
}

/// An answer that nobody stores on the way.
pub(super) fn unstored(answer: impl Serialize) -> Response {
    let mut response = Json(answer).into_response();
    no_store(response.headers_mut());
    response
}
