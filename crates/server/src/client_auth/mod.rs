//! Who the client is (RFC 6749 §2.3): `client_secret_basic`, `client_secret_post`, or `none` for public clients.
//!
//! Refuses two methods in one request, a method the client is not registered for, and every client that is disabled.
//! Unknown client and wrong secret get the same sentence.

mod form;
mod secret;

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use tokensmith_oauth2::{ClientId, ErrorCode, Form, Secret, basic};
use tokensmith_store::{AuditEvent, AuthMethod, Timestamp};

use crate::{
    app::App,
    context::RequestContext,
    error::OAuthError,
    rate_limit::{Quota, RateLimiter},
    registry::RegisteredClient,
};

pub use form::{AuthenticatedForm, StrictForm};
pub use secret::{SecretMemo, hash_secret, new_secret};

/// Wrong secrets one address may send for one client: 20 at once, then one every three seconds.
const FAILURES: Quota = Quota {
    burst: 20,
    refill: Duration::from_secs(3),
};
/// Pairs of address and client whose failures are remembered.
const FAILURE_KEYS: usize = 50_000;

/// What client authentication keeps in memory.
pub struct ClientAuth {
    memo: SecretMemo,
    failures: RateLimiter<(Option<IpAddr>, ClientId)>,
}

impl ClientAuth {
    /// Remembers at most `checks` successful checks of low-entropy secrets.
    pub fn new(checks: usize, memo_key: [u8; 32]) -> Self {
        Self {
            memo: SecretMemo::new(checks, memo_key),
            failures: RateLimiter::new(FAILURES, FAILURE_KEYS),
        }
    }
}

/// What a request shows of its client.
struct Credentials {
    client_id: ClientId,
    secret: Option<Secret>,
    by_basic: bool,
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
    let credentials = credentials(headers, form)?;
    prove(app, credentials, "client_auth_failed", context).await
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
    let credentials = match client_id(id) {
        Ok(client_id) => Credentials {
            client_id,
            secret: Some(secret),
            by_basic: false,
        },
        Err(error) => {
            let event = AuditEvent::new(FAILED).outcome(error.refusal());
            app.audit(context.audit(None), event).await?;
            return Err(error);
        }
    };
    prove(app, credentials, FAILED, context).await
}

/// Checks what was shown; a failure is counted, and recorded under this word.
async fn prove(
    app: &App,
    credentials: Credentials,
    failed: &'static str,
    context: &RequestContext,
) -> Result<Arc<RegisteredClient>, OAuthError> {
    let by_basic = credentials.by_basic;
    let key = (context.ip, credentials.client_id.clone());
    let failures = &app.client_auth().failures;
    failures
        .check(&key, context.now)
        .map_err(|limited| OAuthError::rate_limited(limited.retry_after))?;
    let error = match check(app, &credentials, context.now).await {
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
        let counted = failures.take(&key, context.now);
        let is_last = counted.is_err() || failures.check(&key, context.now).is_err();
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

fn credentials(headers: &HeaderMap, form: &Form) -> Result<Credentials, OAuthError> {
    let in_body = form.one("client_id")?;
    let secret = form.one("client_secret")?;
    let sent_secret = form.has("client_secret");
    for unsupported in ["client_assertion", "client_assertion_type"] {
        if form.has(unsupported) {
            return Err(invalid_client(
                "assertion_unsupported",
                "Client assertions are not supported.",
            ));
        }
    }
    let Some(authorization) = one_authorization(headers)? else {
        let id = in_body
            .ok_or_else(|| invalid_client("client_missing", "The request names no client."))?;
        let client_id = client_id(id)?;
        // An empty secret is a wrong one, not none.
        let secret = sent_secret.then(|| Secret::from(secret.unwrap_or_default()));
        return Ok(Credentials {
            client_id,
            secret,
            by_basic: false,
        });
    };
    if sent_secret {
        let sentence = "Send the client's secret in the header or in the body, not in both.";
        return Err(OAuthError::invalid_request("two_auth_methods", sentence));
    }
    let (id, secret) = basic_credentials(authorization)?;
    if in_body.is_some_and(|named| named != id.as_str()) {
        let sentence = "The client_id of the body is not the one of the Authorization header.";
        return Err(OAuthError::invalid_request("two_clients", sentence));
    }
    Ok(Credentials {
        client_id: id,
        secret: Some(secret),
        by_basic: true,
    })
}

fn one_authorization(headers: &HeaderMap) -> Result<Option<&HeaderValue>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(OAuthError::invalid_request(
            "two_authorizations",
            "Send one Authorization header, not several.",
        )),
        (value, None) => Ok(value),
    }
}

fn basic_credentials(authorization: &HeaderValue) -> Result<(ClientId, Secret), OAuthError> {
    let malformed = |detail: Cow<'static, str>| {
        let sentence =
            "The Authorization header is not HTTP Basic with a form-encoded client id and secret.";
        invalid_client("malformed_basic", sentence)
            .challenge_basic()
            .with_detail(detail)
    };
    let text = authorization
        .to_str()
        .map_err(|_| malformed("not ASCII".into()))?;
    basic::parse(text).map_err(|error| malformed(error.to_string().into()))
}

fn client_id(text: &str) -> Result<ClientId, OAuthError> {
    ClientId::parse(text)
        .map_err(|error| unknown_or_wrong("client_id_malformed").with_detail(error))
}

fn invalid_client(refusal: &'static str, sentence: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, refusal, sentence)
}

/// One sentence for every way of not being a client.
fn unknown_or_wrong(refusal: &'static str) -> OAuthError {
    invalid_client(
        refusal,
        "The client is unknown, its secret is wrong, or it may not authenticate this way.",
    )
}

async fn check(
    app: &App,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<Arc<RegisteredClient>, OAuthError> {
    let known = app
        .registry()
        .client(app.store(), &credentials.client_id)
        .await?;
    let Some(registered) = known else {
        return Err(unknown_or_wrong("client_unknown"));
    };
    let client = &registered.client;
    if !accepts(client.auth_method, credentials) {
        return Err(unknown_or_wrong("auth_method_not_registered"));
    }
    if let Some(secret) = &credentials.secret
        && !secret::is_one_of(app, client, secret, now).await?
    {
        return Err(unknown_or_wrong("secret_wrong"));
    }
    if !client.is_active {
        return Err(unknown_or_wrong("client_disabled"));
    }
    Ok(registered)
}

/// Whether the client is registered for the way it authenticated.
fn accepts(method: AuthMethod, credentials: &Credentials) -> bool {
    match method {
        AuthMethod::None => credentials.secret.is_none(),
        AuthMethod::ClientSecretBasic => credentials.by_basic,
        AuthMethod::ClientSecretPost => !credentials.by_basic && credentials.secret.is_some(),
        AuthMethod::ClientSecretBasicOrPost => credentials.secret.is_some(),
    }
}
