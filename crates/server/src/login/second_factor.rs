//! The second half of a sign-in: `POST /api/auth/login/2fa` ends one that waits for a second factor,
//! `POST /api/auth/passkeys/sign-in` one that a passkey makes alone.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::{Authentication, OrganizationId, PendingPurpose, User, UserId};

use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, ApiJson, no_store},
    mfa::{self, PasskeyAnswer, Proof},
    session::{self, Begun, SignIn, pending},
    token::{UserSubject, UserTokens},
};

/// The body of the second half: a code, or a passkey's answer.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct SecondFactorRequest {
    #[schema(value_type = String)]
    pub(crate) pre_auth_token: Secret,
    #[schema(value_type = Option<String>)]
    pub(crate) code: Option<Secret>,
    pub(crate) passkey: Option<PasskeyAnswer>,
    #[serde(default)]
    pub(crate) remember_device: bool,
}

/// A sign-in of two factors that came to its end.
pub(crate) struct FinishedSignIn {
    pub(crate) user: User,
    pub(crate) subject: UserSubject,
    /// What this device is remembered by from now on.
    pub(crate) device_token: Option<Secret>,
    /// Shown this once.
    pub(crate) recovery_codes: Vec<String>,
}

/// The tokens, and what is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FinishedSignIn)]
pub(super) struct Finished {
    #[serde(flatten)]
    tokens: UserTokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recovery_codes: Vec<String>,
}

impl IntoResponse for Finished {
    fn into_response(self) -> Response {
        let mut response = Json(self).into_response();
        no_store(response.headers_mut());
        response
    }
}

/// `POST /api/auth/login/2fa`: ends a sign-in that waits for a second factor.
///
/// # Errors
/// 401 when the sign-in is over or the factor not right, 422 without one, 429 after too many wrong codes.
#[utoipa::path(post, path = "/api/auth/login/2fa", request_body = SecondFactorRequest, responses((status = 200, body = Finished), (status = 401), (status = 429)), security(()), operation_id = "finish_sign_in")]
pub async fn second_factor(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    ApiJson(request): ApiJson<SecondFactorRequest>,
) -> Result<Response, ApiError> {
    let ended = end(&app, &request, &headers, &context).await?;
    let finished = Finished {
        tokens: session::tokens(&app, ended.subject, &context).await?,
        device_token: ended.device_token.map(|secret| secret.expose().to_owned()),
        recovery_codes: ended.recovery_codes,
    };
    Ok(finished.into_response())
}

/// Ends a sign-in that waits for a second factor, with a session.
///
/// # Errors
/// As [`second_factor`].
pub(crate) async fn end(
    app: &App,
    request: &SecondFactorRequest,
    headers: &HeaderMap,
    context: &RequestContext,
) -> Result<FinishedSignIn, ApiError> {
    let (token, purpose) = (&request.pre_auth_token, PendingPurpose::SecondFactor);
    let waiting = pending::waiting(app, token, purpose, context).await?;
    let user = account(app, waiting.user_id.as_ref()).await?;
    let shown = shown(app, &user, request, &waiting.challenge, context).await?;
    let waiting = pending::redeem(app, token, purpose, context).await?;
    let first = waiting.authentication.ok_or_else(pending::over)?;
    let sign_in = SignIn {
        user: &user,
        org: waiting.org_id.as_ref(),
        authentication: &first.and(shown.method, context.now),
        device: None,
        headers,
    };
    let subject = finish(app, sign_in, context).await?;
    let device_token = match request.remember_device {
        true => Some(session::remember_device(app, &user.id, context).await?),
        false => None,
    };
    Ok(FinishedSignIn {
        user,
        subject,
        device_token,
        recovery_codes: shown.recovery_codes,
    })
}

struct Shown {
    method: &'static str,
    recovery_codes: Vec<String>,
}

/// A user who has a factor shows it; one who must have one confirms the one that was set up in this sign-in.
async fn shown(
    app: &App,
    user: &User,
    request: &SecondFactorRequest,
    challenge: &[u8; 32],
    context: &RequestContext,
) -> Result<Shown, ApiError> {
    let proof = match (&request.code, &request.passkey) {
        (Some(code), None) => Proof::Code(code),
        (None, Some(answer)) => Proof::Passkey(answer, challenge),
        _ => {
            let sentence = "Send either code or passkey.";
            return Err(ApiError::unprocessable("one_factor", sentence));
        }
    };
    let factors = app.store().second_factors(&user.id, None).await?;
    if let (false, Proof::Code(code)) = (factors.exist(), proof) {
        return Ok(Shown {
            recovery_codes: mfa::enrolled(app, user, code, context).await?,
            method: "otp",
        });
    }
    Ok(Shown {
        method: mfa::prove(app, user, proof, context).await?,
        recovery_codes: Vec::new(),
    })
}

/// The body of a sign-in by a passkey alone.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct PasskeySignIn {
    #[schema(value_type = String)]
    pub(crate) pre_auth_token: Secret,
    pub(crate) passkey: PasskeyAnswer,
    pub(crate) org_id: Option<OrganizationId>,
}

/// `POST /api/auth/passkeys/sign-in`: its authenticator must have verified the user.
///
/// # Errors
/// 401 with one sentence for every reason, 403 for an organization the user does not belong to.
#[utoipa::path(post, path = "/api/auth/passkeys/sign-in", request_body = PasskeySignIn, responses((status = 200, body = UserTokens), (status = 401)), security(()), operation_id = "passkey_sign_in")]
pub async fn by_passkey(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    ApiJson(request): ApiJson<PasskeySignIn>,
) -> Result<UserTokens, ApiError> {
    let ended = end_by_passkey(&app, &request, &headers, &context).await?;
    session::tokens(&app, ended.subject, &context).await
}

/// Signs in by a passkey alone, with a session.
///
/// # Errors
/// As [`by_passkey`].
pub(crate) async fn end_by_passkey(
    app: &App,
    request: &PasskeySignIn,
    headers: &HeaderMap,
    context: &RequestContext,
) -> Result<FinishedSignIn, ApiError> {
    let (token, purpose) = (&request.pre_auth_token, PendingPurpose::Passkey);
    let waiting = pending::redeem(app, token, purpose, context).await?;
    let answer = &request.passkey;
    let signed = mfa::assert(app, None, answer, &waiting.challenge, context).await?;
    if !signed.is_two_factors() {
        let sentence = "The passkey must verify you by itself, for instance by a PIN.";
        return Err(ApiError::unauthorized("user_not_verified", sentence));
    }
    let user = account(app, Some(&signed.user_id)).await?;
    let sign_in = SignIn {
        user: &user,
        org: request.org_id.as_ref(),
        authentication: &Authentication::passkey(context.now),
        device: None,
        headers,
    };
    let subject = finish(app, sign_in, context).await?;
    Ok(FinishedSignIn {
        user,
        subject,
        device_token: None,
        recovery_codes: Vec::new(),
    })
}

/// A sign-in of two factors, to its end.
async fn finish(
    app: &App,
    sign_in: SignIn<'_>,
    context: &RequestContext,
) -> Result<UserSubject, ApiError> {
    match session::begin(app, sign_in, context).await? {
        Begun::Session(subject) => Ok(subject),
        Begun::Pending(_) => Err(pending::over()),
    }
}

async fn account(app: &App, id: Option<&UserId>) -> Result<User, ApiError> {
    let user = match id {
        Some(id) => app.store().user(id).await?,
        None => None,
    };
    let active = user.filter(|user| user.is_active);
    active.ok_or_else(pending::over)
}
