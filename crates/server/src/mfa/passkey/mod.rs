//! Passkeys (WebAuthn level 3) as JSON that a page's script passes on as it is: `publicKey` goes to
//! `navigator.credentials`, and what comes back with `toJSON()` comes here.
//!
//! The relying party is the host of the configured issuer; no header field of a request decides anything. A challenge
//! belongs to one pending sign-in or session and is redeemed with it.

mod cbor;
pub(super) mod ceremony;
pub(super) mod owned;
mod public_key;
mod signed;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokensmith_store::{AuditEvent, Passkey, UsePasskey, UserId};

use self::signed::{Expected, Refusal};
use crate::{app::App, context::RequestContext, error::ApiError};

pub use ceremony::{answer_options, sign_in_options};
pub(crate) use ceremony::{begin_sign_in, question_to};
pub(crate) use owned::remove_from;
pub use owned::{add, add_options, list, remove, rename};

/// What `navigator.credentials` gave, by its `toJSON()`. Members that are not needed are not read.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
pub struct PasskeyAnswer {
    id: String,
    r#type: String,
    response: PasskeyResponse,
}

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
struct PasskeyResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "attestationObject")]
    attestation: Option<String>,
    #[serde(rename = "authenticatorData")]
    authenticator_data: Option<String>,
    signature: Option<String>,
    #[serde(rename = "userHandle")]
    user_handle: Option<String>,
}

/// A passkey that signed, and whether its authenticator verified its user by itself.
#[derive(Clone, Debug)]
pub struct SignedBy {
    /// Whose it is.
    pub user_id: UserId,
    user_verified: bool,
}

impl SignedBy {
    /// Its word for `amr` (RFC 8176): possession of a key was proved.
    pub fn method(&self) -> &'static str {
        "pop"
    }

    /// Whether it stands for two factors.
    pub fn is_two_factors(&self) -> bool {
        self.user_verified
    }
}

/// Takes a passkey's signature over a challenge; from `None`, the passkey itself says whose it is.
///
/// # Errors
/// 401 with one sentence for every reason, 503.
pub async fn assert(
    app: &App,
    user: Option<&UserId>,
    answer: &PasskeyAnswer,
    challenge: &[u8; 32],
    context: &RequestContext,
) -> Result<SignedBy, ApiError> {
    let found = found(app, user, answer).await?;
    let checked = found.as_ref().ok_or("passkey_unknown").and_then(|passkey| {
        let expected = expected(app, challenge);
        let signed = answer.assertion(&expected, passkey);
        signed.map_err(Refusal::as_str)
    });
    let (Some(passkey), Ok(signed)) = (&found, checked) else {
        let owner = found.as_ref().map(|passkey| &passkey.user_id).or(user);
        refuse(
            app,
            owner,
            checked.err().unwrap_or("passkey_unknown"),
            context,
        )
        .await?;
        return Err(refused());
    };
    let use_passkey = UsePasskey {
        id: passkey.id.clone(),
        user_id: passkey.user_id.clone(),
        sign_count: i64::from(signed.sign_count),
        context: context.audit(Some(format!("user:{}", passkey.user_id))),
    };
    if !app.store().write(use_passkey).await? {
        return Err(refused());
    }
    Ok(SignedBy {
        user_id: passkey.user_id.clone(),
        user_verified: signed.user_verified,
    })
}

/// The passkey that answers, if it is the user's who is meant.
async fn found(
    app: &App,
    user: Option<&UserId>,
    answer: &PasskeyAnswer,
) -> Result<Option<Passkey>, ApiError> {
    let Some(credential_id) = decoded(&answer.id).filter(|_| answer.r#type == "public-key") else {
        return Ok(None);
    };
    let found = app.store().passkey(&credential_id).await?;
    let handle = answer.response.user_handle.as_deref().map(decoded);
    Ok(found.filter(|passkey| match (user, handle) {
        (Some(user), None) => passkey.user_id == *user,
        // WebAuthn level 3 §7.2: without a user who is meant, the handle must say whose it is.
        (None, None) | (_, Some(None)) => false,
        (user, Some(Some(handle))) => {
            let is_owner = handle == passkey.user_id.as_str().as_bytes();
            is_owner && user.is_none_or(|user| passkey.user_id == *user)
        }
    }))
}

impl PasskeyAnswer {
    /// Reads the JSON that a page's form holds.
    ///
    /// # Errors
    /// 422.
    pub(crate) fn read(json: &str) -> Result<Self, ApiError> {
        let sentence = "The browser sent no answer of a passkey.";
        serde_json::from_str(json)
            .map_err(|_| ApiError::unprocessable("passkey_malformed", sentence))
    }

    fn assertion(
        &self,
        expected: &Expected<'_>,
        passkey: &Passkey,
    ) -> Result<signed::Signed, Refusal> {
        let response = &self.response;
        let part = |part: Option<&String>| part.and_then(|part| decoded(part));
        let data = part(response.authenticator_data.as_ref()).ok_or(Refusal::Malformed)?;
        let signature = part(response.signature.as_ref()).ok_or(Refusal::Malformed)?;
        let client_data = decoded(&response.client_data).ok_or(Refusal::Malformed)?;
        expected.assertion(&passkey.public_key, &client_data, &data, &signature)
    }

    fn registration(&self, expected: &Expected<'_>) -> Result<signed::Registered, Refusal> {
        let attestation = self.response.attestation.as_ref();
        let attestation = attestation.and_then(|part| decoded(part));
        let client_data = decoded(&self.response.client_data).ok_or(Refusal::Malformed)?;
        let registered =
            expected.registration(&client_data, &attestation.ok_or(Refusal::Malformed)?)?;
        let is_named = decoded(&self.id).as_ref() == Some(&registered.credential_id);
        is_named.then_some(registered).ok_or(Refusal::Malformed)
    }
}

fn expected<'a>(app: &'a App, challenge: &'a [u8; 32]) -> Expected<'a> {
    let issuer = &app.config().issuer;
    Expected {
        rp_id: issuer.host(),
        origin: issuer.origin(),
        challenge,
    }
}

/// Bytes as WebAuthn writes them in JSON (base64url without padding).
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn refuse(
    app: &App,
    user: Option<&UserId>,
    refusal: &'static str,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let mut event = AuditEvent::new("mfa.failure").outcome(refusal);
    event.user_id = user.map(ToString::to_string);
    Ok(app.audit(context.audit(None), event).await?)
}

/// One sentence for every reason.
fn refused() -> ApiError {
    let sentence = "The passkey was not accepted.";
    ApiError::unauthorized("passkey_refused", sentence)
}
