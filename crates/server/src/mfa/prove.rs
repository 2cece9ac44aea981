//! A second factor is shown: a code of an authenticator app, a recovery code, or a passkey's signature. Codes are
//! counted before they are looked at; a signature cannot be guessed, so it neither counts nor waits.

use tokensmith_jose::seal::SealingKey;
use tokensmith_oauth2::Secret;
use tokensmith_store::{
    AuditEvent, FactorAttempt, TakeFactorAttempt, Totp, UseRecoveryCode, UseTotpStep, User, UserId,
};

use super::{
    notice::notice,
    passkey::{self, PasskeyAnswer},
    recovery,
    totp::{self, TotpSecret},
};
use crate::{app::App, context::RequestContext, error::ApiError, mail::SecurityNotice};

/// The word of RFC 8176 for a one-time password.
const OTP: &str = "otp";

/// What a second factor is shown by.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// A code that was typed.
    Code(&'a Secret),
    /// A passkey's signature over this challenge.
    Passkey(&'a PasskeyAnswer, &'a [u8; 32]),
}

/// Takes a second factor, and gives its word for `amr`.
///
/// # Errors
/// 401 when it is not right or was used before, 429 after too many wrong codes, 503.
pub async fn prove(
    app: &App,
    user: &User,
    proof: Proof<'_>,
    context: &RequestContext,
) -> Result<&'static str, ApiError> {
    match proof {
        Proof::Passkey(answer, challenge) => {
            let signed = passkey::assert(app, Some(&user.id), answer, challenge, context).await?;
            Ok(signed.method())
        }
        Proof::Code(code) => by_code(app, user, code.expose(), context).await,
    }
}

async fn by_code(
    app: &App,
    user: &User,
    code: &str,
    context: &RequestContext,
) -> Result<&'static str, ApiError> {
    take_attempt(app, user, context).await?;
    let is_right = if totp::is_code(code) {
        by_totp(app, user, code, context).await?
    } else {
        by_recovery_code(app, user, code, context).await?
    };
    is_right.then_some(OTP).ok_or_else(wrong)
}

/// Counts a try as wrong until it proves right.
///
/// # Errors
/// 429, 503.
pub(super) async fn take_attempt(
    app: &App,
    user: &User,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let take = TakeFactorAttempt {
        user_id: user.id.clone(),
        mail: notice(app, user, SecurityNotice::SecondFactorBlocked, context)?,
        context: context.audit(Some(actor(&user.id))),
    };
    match app.store().write(take).await? {
        FactorAttempt::Allowed => Ok(()),
        FactorAttempt::Blocked(until) => {
            failed(app, &user.id, "too_many_wrong_codes", context).await?;
            Err(ApiError::rate_limited(until.since(context.now)))
        }
    }
}

async fn by_totp(
    app: &App,
    user: &User,
    code: &str,
    context: &RequestContext,
) -> Result<bool, ApiError> {
    let found = app.store().totp(&user.id).await?;
    let Some(totp) = found.filter(|totp| totp.confirmed_at.is_some()) else {
        failed(app, &user.id, "no_authenticator_app", context).await?;
        return Ok(false);
    };
    let secret = open(app.keys().sealing(), &user.id, &totp)?;
    let Some(step) = secret.step_of(code, context.now) else {
        failed(app, &user.id, "wrong_code", context).await?;
        return Ok(false);
    };
    let use_step = UseTotpStep {
        user_id: user.id.clone(),
        sealed_secret: totp.sealed_secret,
        step,
        context: context.audit(Some(actor(&user.id))),
    };
    Ok(app.store().write(use_step).await?)
}

async fn by_recovery_code(
    app: &App,
    user: &User,
    code: &str,
    context: &RequestContext,
) -> Result<bool, ApiError> {
    let used = match recovery::typed(&user.id, code) {
        None => None,
        Some(code) => {
            let use_code = UseRecoveryCode {
                user_id: user.id.clone(),
                code,
                mail: notice(app, user, SecurityNotice::RecoveryCodeUsed, context)?,
                context: context.audit(Some(actor(&user.id))),
            };
            app.store().write(use_code).await?
        }
    };
    if used.is_none() {
        failed(app, &user.id, "wrong_recovery_code", context).await?;
    }
    Ok(used.is_some())
}

/// The secret of an authenticator app.
///
/// # Errors
/// 500 when it does not open: somebody changed the master key or the row.
pub(super) fn open(
    sealing: &SealingKey,
    user: &UserId,
    totp: &Totp,
) -> Result<TotpSecret, ApiError> {
    let opened = sealing.open(&totp.sealed_secret, sealed_for(user).as_bytes());
    let opened =
        opened.map_err(|error| ApiError::unavailable(format!("a TOTP secret: {error}")))?;
    Ok(TotpSecret::new(opened.to_vec()))
}

/// What a secret is sealed for: it opens for no other user.
pub(super) fn sealed_for(user: &UserId) -> String {
    format!("totp:{user}")
}

async fn failed(
    app: &App,
    user: &UserId,
    refusal: &'static str,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let event = AuditEvent::new("mfa.failure").user(user).outcome(refusal);
    Ok(app.audit(context.audit(Some(actor(user))), event).await?)
}

fn actor(user: &UserId) -> String {
    format!("user:{user}")
}

/// One sentence for every way of not being right.
pub(super) fn wrong() -> ApiError {
    let sentence = "The code is wrong, expired or was used before.";
    ApiError::unauthorized("second_factor_refused", sentence)
}
