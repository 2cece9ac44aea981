//! An authenticator app is set up, confirmed by its first code, and removed: `/api/auth/2fa/setup`, `/verify` and
//! `/disable`. A sign-in that may not end without a second factor does the first two in its own name.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::{
    ConfirmTotp, PendingPurpose, PutTotp, RemoveTotp, RenewAuthentication, Session,
    TotpConfirmation, User, UserId,
};

use super::{
    codes::{NewCodes, unstored},
    notice::notice,
    prove::{open, sealed_for, take_attempt, wrong},
    qr,
    recovery::RecoveryCodes,
    totp::{self, SECRET_BYTES, TotpSecret},
};
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson},
    mail::SecurityNotice,
    session::{self, pending},
};

/// What an authenticator app reads.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TotpSetup)]
pub(crate) struct Setup {
    pub(crate) secret: String,
    otpauth_uri: String,
    pub(crate) qr_svg: String,
}

impl Setup {
    /// The same setup once more, by its secret as it was shown; `None` for a text that is none.
    pub(crate) fn of(app: &App, user: &User, secret: &str) -> Option<Self> {
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
        let is_secret = secret.len() == SECRET_BYTES * 8 / 5 && secret.bytes().all(is_letter);
        is_secret.then(|| Self::shown(app, user, secret))
    }

    fn shown(app: &App, user: &User, secret: &str) -> Self {
        let otpauth_uri = totp::uri(secret, &app.config().issuer.host(), &user.email);
        Self {
            secret: secret.to_owned(),
            qr_svg: qr::svg(&otpauth_uri).unwrap_or_default(),
            otpauth_uri,
        }
    }
}

/// `POST /api/auth/2fa/setup`: the secret of a new authenticator app, with its QR code.
///
/// # Errors
/// 401, 403 without a recent sign-in, 409 beside a confirmed app.
#[utoipa::path(post, path = "/api/auth/2fa/setup", responses((status = 200, body = Setup), (status = 409)), operation_id = "set_up_totp")]
pub async fn setup(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Response, ApiError> {
    let caller = caller.user()?;
    session::recent(&app, &caller, &context).await?;
    let user = account(&app, &caller.user_id).await?;
    set_up(&app, &user, &context).await.map(unstored)
}

/// The body of a setup within a sign-in.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct EnrolRequest {
    #[schema(value_type = String)]
    pre_auth_token: Secret,
}

/// `POST /api/auth/login/2fa/setup`: for a sign-in that needs a second factor of a user who has none.
///
/// # Errors
/// 401 when the sign-in is over, 409 for a user who has one.
#[utoipa::path(post, path = "/api/auth/login/2fa/setup", request_body = EnrolRequest, responses((status = 200, body = Setup), (status = 401), (status = 409)), security(()), operation_id = "enrol_totp")]
pub async fn enrol(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<EnrolRequest>,
) -> Result<Response, ApiError> {
    let setup = enrolment(&app, &request.pre_auth_token, &context).await?;
    Ok(unstored(setup))
}

/// The secret of a new authenticator app, for a sign-in that needs one.
///
/// # Errors
/// As [`enrol`].
pub(crate) async fn enrolment(
    app: &App,
    token: &Secret,
    context: &RequestContext,
) -> Result<Setup, ApiError> {
    let waiting = pending::waiting(app, token, PendingPurpose::SecondFactor, context).await?;
    let user = account(app, &waiting.user_id.ok_or_else(pending::over)?).await?;
    if app.store().second_factors(&user.id, None).await?.exist() {
        return Err(already());
    }
    set_up(app, &user, context).await
}

/// The secret of a new authenticator app.
///
/// # Errors
/// 409 beside a confirmed app, 503.
pub(crate) async fn set_up(
    app: &App,
    user: &User,
    context: &RequestContext,
) -> Result<Setup, ApiError> {
    let secret = TotpSecret::new(app.entropy().bytes::<SECRET_BYTES>());
    let sealing = app.keys().sealing();
    let sealed = sealing.seal(secret.bytes(), sealed_for(&user.id).as_bytes());
    let put = PutTotp {
        user_id: user.id.clone(),
        sealed_secret: sealed.map_err(ApiError::unavailable)?,
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    if !app.store().write(put).await? {
        return Err(already());
    }
    Ok(Setup::shown(app, user, &secret.base32()))
}

/// The body of a confirmation.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = TotpConfirmation)]
pub struct VerifyRequest {
    #[schema(value_type = String)]
    code: Secret,
}

/// `POST /api/auth/2fa/verify`: the first code of an app confirms it, and the session has both factors from then on.
///
/// # Errors
/// 401 for a wrong code, 403 without a recent sign-in, 404 without a setup, 429.
#[utoipa::path(post, path = "/api/auth/2fa/verify", request_body = VerifyRequest, responses((status = 200, body = NewCodes), (status = 404), (status = 409), (status = 429)), operation_id = "confirm_totp")]
pub async fn verify(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<VerifyRequest>,
) -> Result<Response, ApiError> {
    let caller = caller.user()?;
    let session = session::recent(&app, &caller, &context).await?;
    let user = account(&app, &caller.user_id).await?;
    let code = request.code.expose();
    let recovery_codes = confirm_in(&app, (&user, &session), code, &context).await?;
    Ok(unstored(NewCodes {
        message: "The authenticator app is set up. Keep the recovery codes; each is good once.",
        recovery_codes,
    }))
}

/// Confirms an app in a session, which has both factors from then on.
///
/// # Errors
/// As [`verify`].
pub(crate) async fn confirm_in(
    app: &App,
    (user, session): (&User, &Session),
    code: &str,
    context: &RequestContext,
) -> Result<Vec<String>, ApiError> {
    let recovery_codes = confirm(app, user, code, context).await?;
    let renew = RenewAuthentication {
        id: session.id.clone(),
        authentication: session.authentication.clone().and("otp", context.now),
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    app.store().write(renew).await?;
    Ok(recovery_codes)
}

/// Confirms the app of a user who has no second factor yet, within a sign-in. Gives the recovery codes.
///
/// # Errors
/// As [`verify`], 409 for a user who has one.
pub async fn enrolled(
    app: &App,
    user: &User,
    code: &Secret,
    context: &RequestContext,
) -> Result<Vec<String>, ApiError> {
    confirm(app, user, code.expose(), context).await
}

async fn confirm(
    app: &App,
    user: &User,
    code: &str,
    context: &RequestContext,
) -> Result<Vec<String>, ApiError> {
    let nothing = || ApiError::not_found("There is no authenticator app to confirm.");
    let totp = app.store().totp(&user.id).await?.ok_or_else(nothing)?;
    if totp.confirmed_at.is_some() {
        return Err(already());
    }
    take_attempt(app, user, context).await?;
    let secret = open(app.keys().sealing(), &user.id, &totp)?;
    let step = secret.step_of(code, context.now).ok_or_else(wrong)?;
    let codes = RecoveryCodes::new(app.entropy(), &user.id);
    let confirm = ConfirmTotp {
        user_id: user.id.clone(),
        sealed_secret: totp.sealed_secret,
        step,
        recovery_codes: codes.kept,
        mail: notice(app, user, SecurityNotice::FactorAdded, context)?,
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    match app.store().write(confirm).await? {
        TotpConfirmation::Confirmed {
            with_recovery_codes: true,
        } => Ok(codes.shown),
        TotpConfirmation::Confirmed { .. } => Ok(Vec::new()),
        TotpConfirmation::Refused => Err(wrong()),
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TotpRemoved)]
struct Disabled {
    message: &'static str,
}

/// `POST /api/auth/2fa/disable`: removes the authenticator app.
///
/// # Errors
/// 401, 403 without a recent sign-in by both factors, 404 without an app.
#[utoipa::path(post, path = "/api/auth/2fa/disable", responses((status = 200, body = Disabled), (status = 404)), operation_id = "remove_totp")]
pub async fn disable(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Response, ApiError> {
    let caller = caller.user()?;
    session::recent(&app, &caller, &context).await?;
    let user = account(&app, &caller.user_id).await?;
    remove_app(&app, &user, &context).await?;
    Ok(unstored(Disabled {
        message: "The authenticator app is removed.",
    }))
}

/// Removes the authenticator app.
///
/// # Errors
/// 404 without one, 503.
pub(crate) async fn remove_app(
    app: &App,
    user: &User,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let remove = RemoveTotp {
        mail: notice(app, user, SecurityNotice::FactorRemoved, context)?,
        context: context.audit(Some(format!("user:{}", user.id))),
        user_id: user.id.clone(),
    };
    if !app.store().write(remove).await? {
        return Err(ApiError::not_found("There is no authenticator app."));
    }
    Ok(())
}

/// The user's record.
pub(super) async fn account(app: &App, id: &UserId) -> Result<User, ApiError> {
    let user = app.store().user(id).await?;
    let gone = || ApiError::unauthorized("user_gone", "The account is no longer there.");
    user.filter(|user| user.is_active).ok_or_else(gone)
}

fn already() -> ApiError {
    let sentence = "There is a second factor already.";
    ApiError::conflict("second_factor_exists", sentence)
}
