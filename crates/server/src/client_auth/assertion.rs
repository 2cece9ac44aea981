//! `private_key_jwt` and `client_secret_jwt` (RFC 7523 §2.2, OpenID Connect Core §9): a client proves itself with a JWT
//! about itself, signed with a registered key, or under its secret where a setting allows that. Its `jti` is used up
//! last, after everything else was checked, and keyed by the client.

use tokensmith_jose::{Expect, KeySet, Verified, VerifyError, VerifyingKey};
use tokensmith_oauth2::Secret;
use tokensmith_store::{AuthMethod, Client, JtiKind, JtiUse, Timestamp, UseJti};

use super::{invalid_client, secret::sealed_keys, unknown_or_wrong};
use crate::{
    app::App,
    assertion::{AssertionError, Claims, Expected},
    error::OAuthError,
    registry::RegisteredClient,
};

/// A type of its own (RFC 7523bis), or that of any JWT: never that of an access token, a proof or a logout token.
const TYPE: Expect<'static> = Expect::typ(&["client-authentication+jwt", "JWT"]).or_absent();

/// What proved the client, and may do so once.
pub(super) struct Proof(UseJti);

/// Verifies an assertion of this client.
pub(super) async fn verify(
    app: &App,
    registered: &RegisteredClient,
    assertion: &Secret,
    now: Timestamp,
) -> Result<Proof, OAuthError> {
    let verified = match registered.client.auth_method {
        AuthMethod::ClientSecretJwt => by_secret(app, &registered.client, assertion, now),
        _ => by_key(app, registered, assertion).await,
    };
    let claims =
        verified.and_then(|verified| verified.claims().map_err(|_| AssertionError::Claims));
    let claims: Claims = claims.map_err(refused)?;
    let expected = Expected {
        audience: app.config().issuer.as_str(),
        longest: app.config().client_auth.assertion_lifetime,
        now,
    };
    judge(&claims, registered, &expected).map_err(refused)
}

async fn by_key(
    app: &App,
    registered: &RegisteredClient,
    assertion: &Secret,
) -> Result<Verified, AssertionError> {
    let keys = &registered.assertion_keys;
    let verified = keys
        .verify(app.key_sets(), assertion.expose(), TYPE)
        .await?;
    let fixed = registered.assertion_algorithm;
    if fixed.is_some_and(|algorithm| algorithm != verified.header.alg) {
        return Err(AssertionError::Algorithm);
    }
    Ok(verified)
}

/// HS256 under any of the client's secrets: two are valid while one is being replaced.
fn by_secret(
    app: &App,
    client: &Client,
    assertion: &Secret,
    now: Timestamp,
) -> Result<Verified, AssertionError> {
    let mut outcome = Err(VerifyError::UnknownKey);
    if app.config().client_auth.client_secret_jwt {
        for key in sealed_keys(app.keys().sealing(), client, now) {
            let keys = KeySet::new([VerifyingKey::from_hmac(&key)]).unwrap_or_default();
            outcome = keys.verify(assertion.expose(), TYPE);
            if outcome.is_ok() {
                break;
            }
        }
    }
    Ok(outcome?)
}

fn judge(
    claims: &Claims,
    registered: &RegisteredClient,
    expected: &Expected<'_>,
) -> Result<Proof, AssertionError> {
    let id = registered.client.client_id.as_str();
    if claims.iss != id || claims.sub != id {
        return Err(AssertionError::Parties);
    }
    claims.check(expected)?;
    Ok(Proof(UseJti {
        kind: JtiKind::ClientAssertion,
        owner: id.to_owned(),
        jti: claims.jti()?.to_owned(),
        expires_at: claims.over_at(),
    }))
}

/// Uses the assertion up.
pub(super) async fn use_up(app: &App, Proof(jti): Proof) -> Result<(), OAuthError> {
    match app.store().write(jti).await? {
        JtiUse::First => Ok(()),
        JtiUse::Replayed => Err(refused(AssertionError::Replayed)),
    }
}

/// Who holds the key is told what is wrong; anybody else, no more than for a wrong secret.
fn refused(error: AssertionError) -> OAuthError {
    match error {
        AssertionError::Unverified(why) => unknown_or_wrong(error.refusal()).with_detail(why),
        AssertionError::NoKeys => unknown_or_wrong(error.refusal()),
        _ => invalid_client(error.refusal(), error.to_string()),
    }
}
