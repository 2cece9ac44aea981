//! Refusals and the responses they become: RFC 6750 section 3 challenges over an RFC 9457 problem that also has `detail`.
//! The sentences are public; none of them holds any part of a token.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use thiserror::Error;
use tokensmith_jose::VerifyError;
use tokensmith_oauth2::challenge::Bearer;
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
    #[error("the token is bound to a key and may not be used as a bearer token")]
    SenderConstrained,
    /// The token was revoked.
    #[error("the token was revoked")]
    Revoked,
}

/// A request that is not served. As a response it has the status and challenge that RFC 6750 asks for.
#[derive(Clone, Debug, Error)]
#[error("{}", self.detail())]
pub struct Refusal {
    cause: Cause,
    resource_metadata: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Cause {
    NoToken,
    Misplaced(&'static str),
    TooLarge,
    Token(TokenError),
    Scope(Scope),
    Forbidden(&'static str),
    Unavailable,
    RevocationsUnknown,
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
    pub(crate) fn new(cause: Cause, resource_metadata: Option<Arc<str>>) -> Self {
        Self {
            cause,
            resource_metadata,
        }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match &self.cause {
            Cause::NoToken | Cause::Token(_) => StatusCode::UNAUTHORIZED,
            Cause::Misplaced(_) => StatusCode::BAD_REQUEST,
            Cause::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Cause::Scope(_) | Cause::Forbidden(_) => StatusCode::FORBIDDEN,
            Cause::Unavailable | Cause::RevocationsUnknown => StatusCode::SERVICE_UNAVAILABLE,
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
            Cause::Token(_) => Some(ErrorCode::InvalidToken),
            Cause::Scope(_) => Some(ErrorCode::InsufficientScope),
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
            Cause::Unavailable => "the issuer's keys are not available".to_owned(),
            Cause::RevocationsUnknown => "the issuer cannot be asked about revocations".to_owned(),
        }
    }

    /// RFC 6750 section 3.1: without a token the challenge holds no error.
    fn challenge(&self) -> Option<Bearer> {
        let challenge = match (&self.cause, self.code()) {
            (Cause::NoToken, _) => Bearer::new(),
            (Cause::Scope(scope), Some(code)) => Bearer::new().error(code).scope(scope),
            (_, Some(code)) => Bearer::new().error(code).description(self.detail()),
            (_, None) => return None,
        };
        Some(match &self.resource_metadata {
            Some(url) => challenge.resource_metadata(url.to_string()),
            None => challenge,
        })
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::info!(status = self.status().as_u16(), cause = ?self.cause, "request refused");
        let problem = [(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        )];
        let mut response = (self.status(), problem, self.body()).into_response();
        let challenge = self
            .challenge()
            .and_then(|challenge| HeaderValue::try_from(challenge.to_string()).ok());
        if let Some(challenge) = challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if matches!(self.cause, Cause::Unavailable | Cause::RevocationsUnknown) {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(u16::from(RETRY_SECONDS)));
        }
        response
    }
}
