//! The key that a token request proves (RFC 9449 §5), or the certificate it shows (RFC 8705 §3), and whether it is the
//! one that is needed. The endpoint asks what was shown, the gate decides whether that suffices, so no grant and no
//! older path can issue past it.

use http::HeaderMap;
use tokensmith_oauth2::{Confirmation, ErrorCode};
use tokensmith_store::AuthMethod;

use super::{Call, Grant, Redemption};
use crate::{
    dpop::{self, About, DpopError},
    error::OAuthError,
    mtls,
    registry::RegisteredClient,
};

/// What a token request shows of a key.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) confirmation: Option<Confirmation>,
    /// The nonce for the client's next proof.
    pub(super) next_nonce: Option<String>,
}

/// The key that the request proves, if it proves one; a proof goes before a certificate, because it is sent on purpose.
///
/// # Errors
/// `invalid_dpop_proof`, `use_dpop_nonce`, 503 when the store does not answer.
pub(super) async fn shown(call: Call<'_>, headers: &HeaderMap) -> Result<Shown, OAuthError> {
    let Some(proof) = dpop::proof(headers)? else {
        return Ok(Shown {
            confirmation: mtls::confirmation(&call.client.client, call.context),
            ..Shown::default()
        });
    };
    let about = About {
        method: "POST",
        path: "/oauth/token",
        access_token: None,
        now: call.context.now,
    };
    let needs_nonce = dpop::needs_nonce(call.app, call.client);
    let held = dpop::check(call.app, proof, &about, needs_nonce).await?;
    Ok(Shown {
        confirmation: Some(Confirmation::Jkt(held.key)),
        next_nonce: held.next_nonce,
    })
}

/// Whether the key that was shown is the one that client and grant need.
///
/// # Errors
/// `invalid_dpop_proof` or `invalid_grant`. Nothing was used up.
pub(super) fn check(client: &RegisteredClient, grant: &Grant) -> Result<(), OAuthError> {
    let shown = grant.confirmation;
    let by_dpop = matches!(shown, Some(Confirmation::Jkt(_)));
    if client.client.metadata.dpop_bound_access_tokens && !by_dpop {
        return Err(DpopError::Missing.into());
    }
    mtls::check_binding(&client.client, shown)?;
    match grant.bound_to {
        Some(bound) if shown != Some(bound) => Err(not_shown(bound)),
        None if shown.is_some() && is_unbound_refresh(client, grant) => Err(too_late()),
        _ => Ok(()),
    }
}

/// A public client's refresh token stays what it was issued as: binding it now would let a thief lock its owner out,
/// and leaving it unbound is what RFC 9449 §5 forbids.
fn is_unbound_refresh(client: &RegisteredClient, grant: &Grant) -> bool {
    let is_public = client.client.auth_method == AuthMethod::None;
    is_public && matches!(grant.redemption, Redemption::RefreshToken(_))
}

fn too_late() -> OAuthError {
    let sentence = "The refresh token was issued without a key. Sign in again with a DPoP proof.";
    OAuthError::new(
        ErrorCode::InvalidGrant,
        "refresh_token_without_key",
        sentence,
    )
}

/// The token is good, its presenter is not: it stays good for who holds the key.
pub(super) fn not_shown(bound: Confirmation) -> OAuthError {
    let code = match bound {
        Confirmation::Jkt(_) => ErrorCode::InvalidDpopProof,
        Confirmation::Certificate(_) => ErrorCode::InvalidGrant,
    };
    let sentence = "What was granted is bound to a key. Show that key with the request.";
    OAuthError::new(code, "granted_key_not_shown", sentence)
}
