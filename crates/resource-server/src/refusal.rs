//! Refusals and the responses they become: challenges of RFC 6750 section 3 and RFC 9449 section 7.1 over an RFC 9457 problem that also has `detail`.
//! The sentences are public; none of them holds any part of a token.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use thiserror::Error;
use tokensmith_jose::VerifyError;
use tokensmith_jose::dpop::{ALGORITHM_NAMES, ProofError};
use tokensmith_oauth2::challenge::{Bearer, Dpop};
use tokensmith_oauth2::{ErrorCode, Scope};

/// Seconds after which a caller may try again while the issuer's keys cannot be had.
const RETRY_SECONDS: u8 = 5;

/// Why a token was not accepted. The text is what the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Form, type, key or signature.
    #[error("{0}")]
    Signature(#[from] VerifyError),
    /// A claim is missing or has the wrong type.
    #[error("the token claims are malformed")]
    Claims,
    /// `iss` is not our issuer.
    #[error("the token comes from another issuer")]
    Issuer,
    /// `aud` does not hold our identifier.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token is expired")]
    Expired,
    /// `nbf` or `iat` lies more than a minute ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Not an access token.
    #[error("the token is not an access token")]
    Type,
    /// `sub` names neither a user nor the client.
    #[error("the token names no valid subject")]
    Subject,
    /// The token is bound to a key (RFC 7800) and came without proof of it.
    #[error("the token is bound to a {} and may not be used as a bearer token", if *by_certificate { "certificate" } else { "key" })]
    SenderConstrained {
        /// The key is that of a client certificate (RFC 8705 section 3).
        by_certificate: bool,
    },
    /// The proof of the key does not hold (RFC 9449 section 4.3).
    #[error("the proof: {0}")]
    Proof(ProofError),
    /// There is not one new proof of the token's key, or the token has none.
    #[error("{0}")]
    Unproven(&'static str),
    /// The token was revoked.
    #[error("the token was revoked")]
    Revoked,
}

/// Without a DPoP proof.
pub(crate) const BOUND_TO_KEY: TokenError = TokenError::SenderConstrained {
    by_certificate: false,
};
/// Without the certificate.
pub(crate) const BOUND_TO_CERTIFICATE: TokenError = TokenError::SenderConstrained {
    by_certificate: true,
};

/// A request that is not served. As a response it has the status and challenge that RFC 6750 asks for.
#[derive(Clone, Debug, Error)]
#[error("{}", self.detail())]
pub struct Refusal {
    cause: Cause,
    resource_metadata: Option<Arc<str>>,
    takes_dpop: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Cause {
    NoToken,
    Misplaced(&'static str),
    TooLarge,
    Token(TokenError),
    Scope(Scope),
    Forbidden(&'static str),
    /// Values of `acr` that would do, and seconds since the sign-in at most.
    Authentication(String, Option<u64>),
    Unavailable,
    RevocationsUnknown,
    NeedsNonce(String),
    ReplaysUnknown,
}

impl From<TokenError> for Cause {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<VerifyError> for Cause {
    fn from(error: VerifyError) -> Self {
        Self::Token(error.into())
    }
}

impl Refusal {
    pub(crate) fn new(cause: Cause, resource_metadata: Option<Arc<str>>, takes_dpop: bool) -> Self {
        Self {
            cause,
            resource_metadata,
            takes_dpop,
        }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match &self.cause {
            Cause::NoToken | Cause::Token(_) | Cause::NeedsNonce(_) | Cause::Authentication(..) => {
                StatusCode::UNAUTHORIZED
            }
            Cause::Misplaced(_) => StatusCode::BAD_REQUEST,
            Cause::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Cause::Scope(_) | Cause::Forbidden(_) => StatusCode::FORBIDDEN,
            Cause::Unavailable | Cause::RevocationsUnknown | Cause::ReplaysUnknown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// What is wrong with the token, when that is the cause; for logs and metrics.
    pub fn token_error(&self) -> Option<TokenError> {
        match self.cause {
            Cause::Token(error) => Some(error),
            _ => None,
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match &self.cause {
            Cause::Misplaced(_) => Some(ErrorCode::InvalidRequest),
            Cause::Token(TokenError::Proof(_) | TokenError::Unproven(_)) => {
                Some(ErrorCode::InvalidDpopProof)
            }
            Cause::NeedsNonce(_) => Some(ErrorCode::UseDpopNonce),
            Cause::Token(_) => Some(ErrorCode::InvalidToken),
            Cause::Scope(_) => Some(ErrorCode::InsufficientScope),
            Cause::Authentication(..) => Some(ErrorCode::InsufficientUserAuthentication),
            _ => None,
        }
    }

    fn detail(&self) -> String {
        match &self.cause {
            Cause::NoToken => "an access token is required".to_owned(),
            Cause::TooLarge => "the form is too large".to_owned(),
            Cause::Misplaced(detail) | Cause::Forbidden(detail) => (*detail).to_owned(),
            Cause::Token(error) => error.to_string(),
            Cause::Scope(scope) => format!("the scope {scope} is required"),
            Cause::Authentication(..) => {
                "the user must sign in again, or with more factors".to_owned()
            }
            Cause::Unavailable => "the issuer's keys are not available".to_owned(),
            Cause::RevocationsUnknown => "the issuer cannot be asked about revocations".to_owned(),
            Cause::NeedsNonce(_) => "the proof must repeat the nonce of DPoP-Nonce".to_owned(),
            Cause::ReplaysUnknown => "nobody can say whether the proof is new".to_owned(),
        }
    }

    /// RFC 6750 section 3.1: without a token the challenge holds no error.
    fn challenge(&self) -> Option<Bearer> {
        let challenge = match (&self.cause, self.code()) {
            (Cause::NoToken, _) => Bearer::new(),
            (Cause::Scope(scope), Some(code)) => Bearer::new().error(code).scope(scope),
            (Cause::Authentication(acr_values, max_age), Some(code)) => {
                step_up(code, self.detail(), acr_values, *max_age)
            }
            (_, Some(code)) => Bearer::new().error(code).description(self.detail()),
            (_, None) => return None,
        };
        Some(match &self.resource_metadata {
            Some(url) => challenge.resource_metadata(url.to_string()),
            None => challenge,
        })
    }

    /// The challenge in each scheme that helps: a matter of proofs is told in the scheme of proofs alone.
    fn challenges(&self) -> Vec<String> {
        let Some(bearer) = self.challenge() else {
            return Vec::new();
        };
        let dpop = || Dpop::new(bearer.clone(), ALGORITHM_NAMES).to_string();
        match &self.cause {
            _ if !self.takes_dpop => vec![bearer.to_string()],
            Cause::NeedsNonce(_) => vec![dpop()],
            Cause::Token(TokenError::Proof(_) | TokenError::Unproven(_) | BOUND_TO_KEY) => {
                vec![dpop()]
            }
            Cause::NoToken | Cause::Token(_) => vec![bearer.to_string(), dpop()],
            _ => vec![bearer.to_string()],
        }
    }

    fn body(&self) -> String {
        let status = self.status();
        let mut problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        if let Some(code) = self.code() {
            problem["error"] = json!(code.as_str());
        }
        problem.to_string()
    }
}

/// RFC 9470 section 3: what the next sign-in must reach.
fn step_up(code: ErrorCode, detail: String, acr_values: &str, max_age: Option<u64>) -> Bearer {
    let mut challenge = Bearer::new().error(code).description(detail);
    if !acr_values.is_empty() {
        challenge = challenge.acr_values(acr_values.to_owned());
    }
    match max_age {
        Some(seconds) => challenge.max_age(seconds),
        None => challenge,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::info!(status = self.status().as_u16(), cause = ?self.cause, "request refused");
        let problem = [(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        )];
        let mut response = (self.status(), problem, self.body()).into_response();
        let headers = response.headers_mut();
        for challenge in self.challenges() {
            if let Ok(challenge) = HeaderValue::try_from(challenge) {
                headers.append(WWW_AUTHENTICATE, challenge);
            }
        }
        if let Cause::NeedsNonce(nonce) = &self.cause
            && let Ok(nonce) = HeaderValue::from_str(nonce)
        {
            headers.insert("dpop-nonce", nonce);
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(u16::from(RETRY_SECONDS)));
        }
        response
    }
}
