//! The access token of a request and how it was shown: `Bearer` (RFC 6750 §2.1) or `DPoP` with a proof (RFC 9449 §7.1).
//! A token that is bound to a key is refused as `Bearer`, one that is not is refused as `DPoP`.

use http::{HeaderMap, header, request::Parts};
use tokensmith_oauth2::{ClientId, Confirmation, ErrorCode, Thumbprint, challenge};
use tokensmith_store::Timestamp;

use super::{About, DpopError, check, needs_nonce, proof};
use crate::{app::App, error::ApiError, listen::ClientCertificate};

/// An access token that was shown with a request.
#[derive(Clone, Copy)]
pub(crate) struct ShownToken<'a> {
    /// Its text.
    pub(crate) text: &'a str,
    by_dpop: bool,
    parts: &'a Parts,
}

impl<'a> ShownToken<'a> {
    /// The token of the one Authorization header, if there is one.
    ///
    /// # Errors
    /// 400 for several headers, 401 for another scheme.
    pub(crate) fn of(parts: &'a Parts) -> Result<Option<Self>, ApiError> {
        let Some(value) = one_authorization(&parts.headers)? else {
            return Ok(None);
        };
        let shown = value.and_then(|value| value.split_once(' '));
        let by_dpop = |scheme: &str| match scheme {
            scheme if scheme.eq_ignore_ascii_case("bearer") => Some(false),
            scheme if scheme.eq_ignore_ascii_case("dpop") => Some(true),
            _ => None,
        };
        let shown = shown.and_then(|(scheme, text)| {
            let by_dpop = by_dpop(scheme)?;
            Some(Self {
                text,
                by_dpop,
                parts,
            })
        });
        shown
            .map(Some)
            .ok_or_else(|| refused("not_a_bearer_token").also_by_dpop())
    }

    /// Whether the request proves the key that the token is bound to, where it is bound to one.
    ///
    /// # Errors
    /// 401 when not, 503 when the store does not answer.
    pub(crate) async fn prove(
        self,
        app: &App,
        client_id: &ClientId,
        bound_to: Option<Confirmation>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        match (self.by_dpop, bound_to) {
            (false, None) => Ok(()),
            (true, Some(Confirmation::Jkt(key))) => {
                let proof = proof(&self.parts.headers)?.ok_or(DpopError::Missing)?;
                let client = app.registry().client(app.store(), client_id).await?;
                let needs_nonce = client.is_some_and(|client| needs_nonce(app, &client));
                let about = About {
                    method: self.parts.method.as_str(),
                    path: self.parts.uri.path(),
                    access_token: Some(self.text),
                    now,
                };
                let held = check(app, proof, &about, needs_nonce).await?;
                (held.key == key)
                    .then_some(())
                    .ok_or_else(|| DpopError::WrongKey.into())
            }
            (false, Some(Confirmation::Jkt(_))) => {
                Err(refused("bound_token_as_bearer").only_by_dpop())
            }
            (true, _) => Err(refused("token_not_bound_to_key")),
            (false, Some(Confirmation::Certificate(bound))) => self
                .shows_certificate(bound)
                .then_some(())
                .ok_or_else(|| refused("certificate_not_shown")),
        }
    }

    /// Whether the request came with this certificate (RFC 8705 §3).
    fn shows_certificate(self, bound: Thumbprint) -> bool {
        let shown = self.parts.extensions.get::<ClientCertificate>();
        shown.is_some_and(|certificate| certificate.thumbprint() == bound)
    }

    /// The refusal, with a challenge in the scheme that the token came in.
    pub(crate) fn challenged(self, refusal: ApiError) -> ApiError {
        if self.by_dpop {
            refusal.only_by_dpop()
        } else {
            refusal
        }
    }
}

/// The one Authorization header, and its text if it is one.
fn one_authorization(headers: &HeaderMap) -> Result<Option<Option<&str>>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        let sentence = "Send one Authorization header, not several.";
        return Err(ApiError::bad_request("two_authorizations", sentence));
    }
    Ok(first.map(|value| value.to_str().ok()))
}

fn refused(refusal: &'static str) -> ApiError {
    let sentence = "The access token was not shown in the way it was issued for.";
    let challenge = challenge::Bearer::new()
        .error(ErrorCode::InvalidToken)
        .description(sentence);
    ApiError::unauthorized(refusal, sentence).with_challenge(challenge)
}
