//! What a browser is asked to sign (WebAuthn level 3 §5.5): by a passkey alone, or by one of those of a sign-in that
//! waits for a second factor.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokensmith_oauth2::Secret;
use tokensmith_store::{Passkey, PendingPurpose, PendingSignIn};

use super::encoded;
use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, ApiJson},
    session::pending,
};

/// What goes to the browser.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PasskeySignInOptions)]
struct Options {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    pre_auth_token: Secret,
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    public_key: Value,
}

/// `POST /api/auth/passkeys/sign-in/options`: for whichever passkey the browser has for this server.
///
/// # Errors
/// 429, 503.
#[utoipa::path(post, path = "/api/auth/passkeys/sign-in/options", responses((status = 200, body = Options)), security(()), operation_id = "passkey_sign_in_options")]
pub async fn sign_in_options(
    State(app): State<App>,
    context: RequestContext,
) -> Result<Response, ApiError> {
    let pre_auth_token = begin_sign_in(&app, &context).await?;
    let purpose = PendingPurpose::Passkey;
    let waiting = pending::waiting(&app, &pre_auth_token, purpose, &context).await?;
    let public_key = question_to(&app, &waiting).await?;
    Ok(super::super::codes::unstored(Options {
        pre_auth_token,
        public_key,
    }))
}

/// The body of a question for a sign-in's passkeys.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = PasskeyOptionsRequest)]
pub struct AnswerOptionsRequest {
    #[schema(value_type = String)]
    pre_auth_token: Secret,
}

/// `POST /api/auth/login/2fa/options`: for one of the passkeys of the user whose sign-in waits.
///
/// # Errors
/// 401 when the sign-in is over, 503.
#[utoipa::path(post, path = "/api/auth/login/2fa/options", request_body = AnswerOptionsRequest, responses((status = 200, body = Options), (status = 401)), security(()), operation_id = "second_factor_passkey_options")]
pub async fn answer_options(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(asked): ApiJson<AnswerOptionsRequest>,
) -> Result<Response, ApiError> {
    let (token, purpose) = (asked.pre_auth_token, PendingPurpose::SecondFactor);
    let waiting = pending::waiting(&app, &token, purpose, &context).await?;
    let public_key = question_to(&app, &waiting).await?;
    Ok(super::super::codes::unstored(Options {
        pre_auth_token: token,
        public_key,
    }))
}

/// Begins a sign-in by a passkey alone, and gives the secret that names it.
///
/// # Errors
/// 503.
pub(crate) async fn begin_sign_in(app: &App, context: &RequestContext) -> Result<Secret, ApiError> {
    let waiting = pending::new(app, PendingPurpose::Passkey, context);
    pending::wait(app, waiting, context).await
}

/// What a passkey must sign to end this sign-in: one of its user's, or whichever there is when nobody is named yet.
///
/// # Errors
/// 503.
pub(crate) async fn question_to(app: &App, waiting: &PendingSignIn) -> Result<Value, ApiError> {
    let Some(user) = &waiting.user_id else {
        return Ok(request(app, &waiting.challenge, &[], "required"));
    };
    let passkeys = app.store().passkeys(user).await?;
    Ok(request(app, &waiting.challenge, &passkeys, "preferred"))
}

/// `PublicKeyCredentialRequestOptionsJSON`.
fn request(app: &App, challenge: &[u8; 32], of: &[Passkey], verification: &str) -> Value {
    json!({
        "challenge": encoded(challenge),
        "rpId": app.config().issuer.host(),
        "timeout": 300_000,
        "userVerification": verification,
        "allowCredentials": descriptors(of),
    })
}

/// `PublicKeyCredentialDescriptorJSON`, one each.
pub(super) fn descriptors(of: &[Passkey]) -> Vec<Value> {
    let describe =
        |passkey: &Passkey| json!({"type": "public-key", "id": encoded(&passkey.credential_id)});
    of.iter().map(describe).collect()
}
