//! Sign-ins and ceremonies that wait for their second half. What names one is a secret for minutes, good for nothing but
//! to end it: it is no token, so no API takes it, and it is redeemed once.

use std::time::Duration;

use aws_lc_rs::digest;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokensmith_oauth2::Secret;
use tokensmith_store::{BeginSignIn, PendingDigest, PendingPurpose, PendingSignIn, RedeemSignIn};

use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, no_store},
};

/// How long somebody may look for a phone.
const LIFETIME: Duration = Duration::from_secs(300);

/// What somebody is told whose password was right and not enough.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PendingSignIn)]
pub struct Pending {
    requires_code: bool,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    pre_auth_token: Secret,
    /// What may end the sign-in: `totp`, `passkey`, `recovery_code`. Empty for a user who must set one up first.
    methods: Vec<&'static str>,
    /// Whether a second factor must be set up before the sign-in can end.
    requires_enrolment: bool,
}

impl Pending {
    /// What waits under this secret.
    pub(super) fn new(token: Secret, methods: Vec<&'static str>) -> Self {
        Self {
            requires_code: true,
            pre_auth_token: token,
            requires_enrolment: methods.is_empty(),
            methods,
        }
    }

    /// What names the sign-in.
    pub fn token(&self) -> &Secret {
        &self.pre_auth_token
    }

    /// Whether a second factor must be set up before the sign-in can end.
    pub fn requires_enrolment(&self) -> bool {
        self.requires_enrolment
    }

    /// What may end it.
    pub fn methods(&self) -> &[&'static str] {
        &self.methods
    }
}

impl IntoResponse for Pending {
    fn into_response(self) -> Response {
        let mut response = Json(self).into_response();
        no_store(response.headers_mut());
        response
    }
}

/// Something new to wait for, from now on, about nobody yet.
pub(crate) fn new(app: &App, purpose: PendingPurpose, context: &RequestContext) -> PendingSignIn {
    PendingSignIn {
        purpose,
        user_id: None,
        org_id: None,
        session_id: None,
        authentication: None,
        challenge: app.entropy().bytes(),
        created_at: context.now,
        expires_at: context.now + LIFETIME,
    }
}

/// Lets it wait, and gives the secret that names it.
///
/// # Errors
/// 503.
pub(crate) async fn wait(
    app: &App,
    pending: PendingSignIn,
    context: &RequestContext,
) -> Result<Secret, ApiError> {
    let secret = app.entropy().secret();
    let actor = pending.user_id.as_ref().map(|user| format!("user:{user}"));
    let begin = BeginSignIn {
        digest: digest_of(&secret),
        context: context.audit(actor),
        pending,
    };
    app.store().write(begin).await?;
    Ok(secret)
}

/// What waits under this secret. Nothing is used up.
///
/// # Errors
/// 401 when nothing does, 503.
pub(crate) async fn waiting(
    app: &App,
    secret: &Secret,
    purpose: PendingPurpose,
    context: &RequestContext,
) -> Result<PendingSignIn, ApiError> {
    let found = app.store().pending_sign_in(digest_of(secret), context.now);
    let found = found.await?.filter(|pending| pending.purpose == purpose);
    found.ok_or_else(over)
}

/// Redeems what waits under this secret: of several who do, one goes on.
///
/// # Errors
/// 401 when nothing waits, 503.
pub(crate) async fn redeem(
    app: &App,
    secret: &Secret,
    purpose: PendingPurpose,
    context: &RequestContext,
) -> Result<PendingSignIn, ApiError> {
    let redeem = RedeemSignIn {
        digest: digest_of(secret),
        purpose,
        now: context.now,
    };
    app.store().write(redeem).await?.ok_or_else(over)
}

pub(crate) fn over() -> ApiError {
    let sentence = "This sign-in is over. Begin again.";
    ApiError::unauthorized("sign_in_over", sentence)
}

fn digest_of(secret: &Secret) -> PendingDigest {
    PendingDigest(sha256(secret.expose().as_bytes()))
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}
