//! Who the client is (RFC 6749 §2.3): `presented.rs` reads what a request shows, and there is one file per method of
//! proving it.
//!
//! Refuses two methods in one request, a method the client is not registered for, and every client that is disabled.
//! Unknown client and wrong secret get the same sentence.

mod assertion;
mod certificate;
mod form;
mod methods;
mod presented;
mod secret;

use std::{borrow::Cow, sync::Arc};

use http::HeaderMap;
use tokensmith_oauth2::{ErrorCode, Form, Secret};
use tokensmith_store::AuditEvent;

use crate::{
    app::App, context::RequestContext, error::OAuthError, rate_limit::ClientAttempt,
    registry::RegisteredClient,
};

use presented::{Credentials, Presented, client_id, credentials};

pub use form::{AuthenticatedForm, StrictForm};
pub use methods::{methods, signing_algorithms};
pub use secret::{SecretMemo, hash_secret, new_secret, seal_secret};

/// What client authentication keeps in memory.
pub struct ClientAuth {
    memo: SecretMemo,
}

impl ClientAuth {
    /// Remembers at most `checks` successful checks of low-entropy secrets.
    pub fn new(checks: usize, memo_key: [u8; 32]) -> Self {
        Self {
            memo: SecretMemo::new(checks, memo_key),
        }
    }
}

/// Finds out which client sent this request.
///
/// # Errors
/// `invalid_client` or `invalid_request`, after an audit line of it was written.
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
    context: &RequestContext,
) -> Result<Arc<RegisteredClient>, OAuthError> {
    const FAILED: &str = "client_auth_failed";
    match credentials(headers, form) {
        Ok(credentials) => prove(app, credentials, FAILED, context).await,
        Err(error) => refuse(app, error, FAILED, context).await,
    }
}

/// Finds out whether this is a client's secret, as the older services asked: both in the body, under other names.
///
/// # Errors
/// As [`authenticate`].
pub async fn authenticate_by_secret(
    app: &App,
    id: &str,
    secret: Secret,
    context: &RequestContext,
) -> Result<Arc<RegisteredClient>, OAuthError> {
    const FAILED: &str = "login_failure";
    match client_id(id) {
        Ok(client_id) => {
            let presented = Presented::PostedSecret(secret);
            let credentials = Credentials {
                client_id,
                presented,
            };
            prove(app, credentials, FAILED, context).await
        }
        Err(error) => refuse(app, error, FAILED, context).await,
    }
}

/// Records a request that names no client.
async fn refuse<T>(
    app: &App,
    error: OAuthError,
    failed: &'static str,
    context: &RequestContext,
) -> Result<T, OAuthError> {
    let event = AuditEvent::new(failed).outcome(error.refusal());
    app.audit(context.audit(None), event).await?;
    Err(error)
}

/// Checks what was shown; a failure is counted, and recorded under this word.
async fn prove(
    app: &App,
    credentials: Credentials,
    failed: &'static str,
    context: &RequestContext,
) -> Result<Arc<RegisteredClient>, OAuthError> {
    let by_basic = matches!(credentials.presented, Presented::BasicSecret(_));
    let attempt = ClientAttempt {
        client: &credentials.client_id,
        ip: context.ip,
    };
    let may_try = || app.limits().check_client(attempt, context.now);
    may_try().map_err(|limited| OAuthError::rate_limited(limited.retry_after))?;
    let error = match check(app, &credentials, context).await {
        Ok(client) => return Ok(client),
        Err(error) => {
            if by_basic {
                error.challenge_basic()
            } else {
                error
            }
        }
    };
    if error.code() == ErrorCode::InvalidClient {
        let counted = app.limits().count_failed_client(attempt, context.now).await;
        let is_last = counted.is_err() || may_try().is_err();
        let words = [Some(failed), is_last.then_some("rate_limit_exceeded")];
        for word in words.into_iter().flatten() {
            let event = AuditEvent::new(word)
                .client(&credentials.client_id)
                .outcome(error.refusal());
            app.audit(context.audit(None), event).await?;
        }
    }
    Err(error)
}

fn invalid_client(refusal: &'static str, sentence: impl Into<Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, refusal, sentence)
}

/// One sentence for every way of not being a client.
fn unknown_or_wrong(refusal: &'static str) -> OAuthError {
    invalid_client(
        refusal,
        "The client is unknown, its secret or assertion is wrong, or it may not authenticate this way.",
    )
}

async fn check(
    app: &App,
    credentials: &Credentials,
    context: &RequestContext,
) -> Result<Arc<RegisteredClient>, OAuthError> {
    let known = app
        .registry()
        .client(app.store(), &credentials.client_id)
        .await?;
    let Some(registered) = known else {
        return Err(unknown_or_wrong("client_unknown"));
    };
    let client = &registered.client;
    if !credentials.presented.is_for(client.auth_method) {
        return Err(unknown_or_wrong("auth_method_not_registered"));
    }
    let mut proof = None;
    match &credentials.presented {
        Presented::Nothing if client.auth_method.is_by_certificate() => {
            certificate::verify(app, &registered, context)?;
        }
        Presented::Nothing => {}
        Presented::BasicSecret(secret) | Presented::PostedSecret(secret) => {
            if !secret::is_one_of(app, client, secret, context.now).await? {
                return Err(unknown_or_wrong("secret_wrong"));
            }
        }
        Presented::Assertion(assertion) => {
            proof =
                Some(Box::pin(assertion::verify(app, &registered, assertion, context.now)).await?);
        }
    }
    if !client.is_active {
        return Err(unknown_or_wrong("client_disabled"));
    }
    if let Some(proof) = proof {
        assertion::use_up(app, proof).await?;
    }
    Ok(registered)
}
