//! Sign-in by password: `POST /auth/login`. Unknown name, wrong password and disabled user get the same answer after
//! the same work. Failures are limited per address and name, and a right password does not get past a reached limit.

mod reauthenticate;
mod request;
mod second_factor;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use tokensmith_oauth2::Secret;
use tokensmith_store::{AuditEvent, Authentication, PasswordHash, UpgradePasswordHash, User};

pub(crate) use self::reauthenticate::{Reauthentication, proved_again};
pub(crate) use self::second_factor::{
    FinishedSignIn, PasskeySignIn, SecondFactorRequest, end, end_by_passkey,
};
pub use self::{
    reauthenticate::reauthenticate,
    request::LoginRequest,
    second_factor::{by_passkey, second_factor},
};
use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, ApiJson},
    mfa::{self, Proof},
    password::{Overloaded, Verdict},
    rate_limit::SignInAttempt,
    session::{self, Begun, Pending, SignIn},
    token::UserTokens,
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    login,
    reauthenticate::reauthenticate,
    second_factor::second_factor,
    second_factor::by_passkey
))]
pub(crate) struct Api;

/// `POST /api/auth/login`: signs in by password.
///
/// # Errors
/// 401 with one sentence, 403 for an organization the user does not belong to, 422, 429, 503.
#[utoipa::path(post, path = "/api/auth/login", request_body = LoginRequest, responses((status = 200, body = UserTokens), (status = 401), (status = 429), (status = 503)), security(()))]
pub async fn login(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<SignedIn, ApiError> {
    sign_in(&app, &request, &headers, &context).await
}

/// What a sign-in by password came to.
#[derive(Debug)]
pub enum SignedIn {
    /// Tokens.
    Tokens(UserTokens),
    /// It waits for a second factor.
    Pending(Pending),
}

impl IntoResponse for SignedIn {
    fn into_response(self) -> Response {
        match self {
            Self::Tokens(tokens) => tokens.into_response(),
            Self::Pending(pending) => pending.into_response(),
        }
    }
}

/// Signs in by password, and by the code of a second factor if one was sent along.
///
/// # Errors
/// As [`login`].
pub async fn sign_in(
    app: &App,
    request: &LoginRequest,
    headers: &HeaderMap,
    context: &RequestContext,
) -> Result<SignedIn, ApiError> {
    let org = request.check()?;
    let user = by_password(app, &request.email, &request.password, context).await?;
    let proved = SignIn {
        user: &user,
        org: org.as_ref(),
        authentication: &with_code(app, &user, request.code.as_ref(), context).await?,
        device: request.device_token.as_ref(),
        headers,
    };
    match session::begin(app, proved, context).await? {
        Begun::Session(subject) => {
            let tokens = session::tokens(app, subject, context).await?;
            Ok(SignedIn::Tokens(tokens))
        }
        Begun::Pending(pending) => Ok(SignedIn::Pending(pending)),
    }
}

/// The password is proved; a code counts for a user who has a second factor, and says nothing of one who has none.
async fn with_code(
    app: &App,
    user: &User,
    code: Option<&Secret>,
    context: &RequestContext,
) -> Result<Authentication, ApiError> {
    let first = Authentication::password(context.now);
    let Some(code) = code else {
        return Ok(first);
    };
    if !app.store().second_factors(&user.id, None).await?.exist() {
        return Ok(first);
    }
    let method = mfa::prove(app, user, Proof::Code(code), context).await?;
    Ok(first.and(method, context.now))
}

/// Why a password did not open an account: the word of the audit line, never of the answer.
#[derive(Clone, Copy, Debug)]
enum LoginRefusal {
    UnknownUser,
    WrongPassword,
    UserDisabled,
}

impl LoginRefusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::UserDisabled => "user_disabled",
        }
    }
}

/// Who this is, if the password opens the account; counts and records it otherwise.
pub(crate) async fn by_password(
    app: &App,
    login: &str,
    password: &Secret,
    context: &RequestContext,
) -> Result<User, ApiError> {
    let attempt = app.limits().sign_in(context.ip, login);
    let check = || app.limits().check_sign_in(&attempt, context.now);
    let limited = |limited: crate::rate_limit::Limited| ApiError::rate_limited(limited.retry_after);
    check().map_err(limited)?;
    let user = app.store().user_by_login(login).await?;
    let verdict = verdict(app, user.as_ref(), password).await?;
    // Guesses sent all at once were all let in above: those that come out after the limit was reached learn nothing.
    check().map_err(limited)?;
    match accepted(user.as_ref(), &verdict) {
        None => {}
        Some(refusal) => return Err(refuse(app, &attempt, user.as_ref(), refusal, context).await?),
    }
    let user = user.ok_or_else(wrong)?;
    if let Verdict::RightButWeak(stronger) = verdict {
        upgrade(app, &user, stronger, context).await?;
    }
    Ok(user)
}

async fn verdict(app: &App, user: Option<&User>, password: &Secret) -> Result<Verdict, ApiError> {
    let hash = user.and_then(|user| user.password_hash.as_ref());
    let phc = hash.map(|hash| hash.as_str().to_owned());
    let salt = app.entropy().bytes();
    let overloaded = |error: Overloaded| ApiError::unavailable(error);
    app.hashing()
        .verify(password.clone(), phc, salt)
        .await
        .map_err(overloaded)
}

fn accepted(user: Option<&User>, verdict: &Verdict) -> Option<LoginRefusal> {
    match (user, verdict) {
        (None, _) => Some(LoginRefusal::UnknownUser),
        (Some(_), Verdict::Wrong) => Some(LoginRefusal::WrongPassword),
        (Some(user), _) if !user.is_active => Some(LoginRefusal::UserDisabled),
        (Some(_), _) => None,
    }
}

/// Counts and records a failed attempt. What was typed is not recorded: it may be a password in the wrong field.
async fn refuse(
    app: &App,
    attempt: &SignInAttempt,
    user: Option<&User>,
    refusal: LoginRefusal,
    context: &RequestContext,
) -> Result<ApiError, ApiError> {
    let counted = app
        .limits()
        .count_failed_sign_in(attempt, context.now)
        .await;
    let is_suspicious = app.limits().count_failed_name(attempt, context.now).await;
    let is_last = counted.is_err() || app.limits().check_sign_in(attempt, context.now).is_err();
    let mut event = AuditEvent::new("login_failure").outcome(refusal.as_str());
    event.user_id = user.map(|user| user.id.to_string());
    app.audit(context.audit(None), event.clone()).await?;
    if is_suspicious {
        let event = AuditEvent::new("suspicious_activity").outcome("many_names_from_one_address");
        app.audit(context.audit(None), event).await?;
    }
    if is_last {
        let event = AuditEvent {
            event: "rate_limit_exceeded",
            ..event
        };
        app.audit(context.audit(None), event).await?;
    }
    Ok(counted.map_or_else(
        |limited| ApiError::rate_limited(limited.retry_after),
        |()| wrong(),
    ))
}

fn wrong() -> ApiError {
    let sentence = "The e-mail address or the password is wrong.";
    ApiError::new(StatusCode::UNAUTHORIZED, "login_refused", sentence)
}

/// Replaces a hash that is weaker than the configuration wants, while the password is at hand.
async fn upgrade(
    app: &App,
    user: &User,
    stronger: String,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let Some(old_hash) = user.password_hash.clone() else {
        return Ok(());
    };
    let upgrade = UpgradePasswordHash {
        user_id: user.id.clone(),
        old_hash,
        new_hash: PasswordHash::new(stronger),
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    app.store().write(upgrade).await?;
    Ok(())
}
