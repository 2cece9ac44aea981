//! What requests that speak of an address have in common: the same work and the same answer whether or not it has an
//! account, and a limit on wrong codes and on mail.

use tokensmith_store::{AppendAudit, AuditEvent, Durability, ProofKind, SendProof, User, UserId};

use super::{
    proof::{self, Shows},
    rules,
};
use crate::{
    app::App,
    context::RequestContext,
    error::ApiError,
    mail::{self, Message, Shown},
    rate_limit::{Limited, SignInAttempt},
};

/// A mail that somebody asks for by an address alone.
pub(super) struct Asked {
    pub(super) kind: ProofKind,
    /// Whether this user is sent it.
    pub(super) may_have: fn(&User) -> bool,
    pub(super) message: fn(Shown, Shown) -> Message,
}

/// Sends it to the address as the account has it, never as it was typed. For an address without account as much is
/// made, sealed and written.
pub(super) async fn send(
    app: &App,
    email: &str,
    asked: &Asked,
    context: &RequestContext,
) -> Result<(), ApiError> {
    rules::check_email(email)?;
    let counted = app.limits().count_mail(context.ip, context.now).await;
    counted.map_err(limited)?;
    let user = app.store().user_by_login(email).await?;
    let user = user.filter(|user| (asked.may_have)(user));
    let nobody = || UserId::from(app.entropy().uuid(context.now));
    let user_id = user.as_ref().map_or_else(nobody, |user| user.id.clone());
    let to = user.as_ref().map_or(email, |user| &user.email);
    let made = proof::make(app, asked.kind, &user_id, to, context.now);
    let message = (asked.message)(made.code, made.token);
    let mail = mail::compose(app, &message, to, context.now)?;
    if user.is_none() {
        return record(app, asked.kind, context).await;
    }
    let send = SendProof {
        proof: made.proof,
        mail,
        context: context.audit(None),
    };
    if app.store().write(send).await? {
        app.mailer().wake();
    }
    Ok(())
}

/// One durable write, as for a mail.
pub(super) async fn record(
    app: &App,
    kind: ProofKind,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let event = AuditEvent::new("account_proof_requested")
        .field("kind", kind.as_str())
        .outcome("no_such_account");
    append(app, event, context).await
}

async fn append(app: &App, event: AuditEvent, context: &RequestContext) -> Result<(), ApiError> {
    let line = AppendAudit {
        context: context.audit(None),
        event,
        durability: Durability::PowerSafe,
    };
    Ok(app.store().write(line).await?)
}

/// Names an attempt by code, if it may be made.
pub(super) fn attempt(
    app: &App,
    shows: &Shows,
    context: &RequestContext,
) -> Result<SignInAttempt, ApiError> {
    let name = shows.email.as_deref().unwrap_or_default();
    let attempt = app.limits().sign_in(context.ip, name);
    let may = app.limits().check_sign_in(&attempt, context.now);
    may.map_err(limited)?;
    Ok(attempt)
}

/// Records and counts an attempt that found nobody, with one durable write as for one that did.
pub(super) async fn failed(
    app: &App,
    attempt: &SignInAttempt,
    context: &RequestContext,
) -> Result<ApiError, ApiError> {
    let event = AuditEvent::new("account_proof_refused").outcome("unknown");
    append(app, event, context).await?;
    Ok(counted(app, attempt, context).await)
}

/// Counts an attempt that was recorded already.
pub(super) async fn counted(
    app: &App,
    attempt: &SignInAttempt,
    context: &RequestContext,
) -> ApiError {
    let counted = app
        .limits()
        .count_failed_sign_in(attempt, context.now)
        .await;
    counted.map_or_else(limited, |()| proof::refused())
}

pub(super) fn limited(limited: Limited) -> ApiError {
    ApiError::rate_limited(limited.retry_after)
}
