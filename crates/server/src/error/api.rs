//! Errors of the JSON APIs: RFC 9457 problems that also carry FastAPI's `detail`, which older clients read.

use std::borrow::Cow;

use axum::{
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use tokensmith_jose::{dpop::ALGORITHM_NAMES, seal::SealError};
use tokensmith_oauth2::challenge;
use tokensmith_store::{AuditEvent, StoreError, TokenNames};

use super::oauth::{insert_dpop_nonce, no_store, whole_seconds};
use crate::observe::metrics::ErrorLabel;

/// A refusal of a JSON API.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    /// The refusal's word: metric label, audit word and last part of the problem's type.
    refusal: &'static str,
    /// One public sentence.
    description: Cow<'static, str>,
    /// What the log may know and the caller may not.
    detail: Option<Box<str>>,
    challenge: Option<challenge::Bearer>,
    schemes: Schemes,
    dpop_nonce: Option<Box<str>>,
    retry_after_seconds: Option<u32>,
    /// Whom and what the refused token speaks of, for the audit line alone.
    names: Option<Box<TokenNames>>,
}

/// The schemes in which the challenge is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Schemes {
    #[default]
    Bearer,
    Both,
    Dpop,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl ApiError {
    /// A refusal with its public sentence.
    pub fn new(
        status: StatusCode,
        refusal: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            refusal,
            description: description.into(),
            detail: None,
            challenge: None,
            schemes: Schemes::default(),
            dpop_nonce: None,
            retry_after_seconds: None,
            names: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(refusal: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, refusal, description)
    }

    /// 422: the request can be read, a value in it is not acceptable.
    pub fn unprocessable(refusal: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, refusal, description)
    }

    /// 403.
    pub fn forbidden(refusal: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, refusal, description)
    }

    /// 404, also for what exists but is not the caller's to see.
    pub fn not_found(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", description)
    }

    /// 409.
    pub fn conflict(refusal: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, refusal, description)
    }

    /// 401 without a challenge parameter, for sign-in.
    pub fn unauthorized(refusal: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, refusal, description)
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(detail: impl ToString) -> Self {
        let sentence = "The server cannot answer right now. Try again in a moment.";
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", sentence);
        error.retry_after_seconds = Some(1);
        error.with_detail(detail)
    }

    /// 429 with `Retry-After` (RFC 6585 §4).
    pub fn rate_limited(retry_after: std::time::Duration) -> Self {
        let sentence = "Too many attempts. Wait as long as Retry-After says.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", sentence)
            .with_retry_after(whole_seconds(retry_after))
    }

    /// Says after how many seconds another try makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds what the log may know.
    #[must_use]
    pub fn with_detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string().into());
        self
    }

    /// Adds a challenge (RFC 6750 §3).
    #[must_use]
    pub fn with_challenge(mut self, challenge: challenge::Bearer) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Puts the challenge in the scheme DPoP as well (RFC 9449 §7.1).
    #[must_use]
    pub fn also_by_dpop(mut self) -> Self {
        self.schemes = Schemes::Both;
        self
    }

    /// Puts the challenge in the scheme DPoP alone.
    #[must_use]
    pub fn only_by_dpop(mut self) -> Self {
        self.schemes = Schemes::Dpop;
        self
    }

    /// Answers with a nonce for the next DPoP proof (RFC 9449 §9).
    #[must_use]
    pub fn with_dpop_nonce(mut self, nonce: String) -> Self {
        self.dpop_nonce = Some(nonce.into());
        self
    }

    fn challenges(&self) -> Vec<String> {
        let Some(bearer) = &self.challenge else {
            return Vec::new();
        };
        let dpop = || challenge::Dpop::new(bearer.clone(), ALGORITHM_NAMES).to_string();
        match self.schemes {
            Schemes::Bearer => vec![bearer.to_string()],
            Schemes::Both => vec![bearer.to_string(), dpop()],
            Schemes::Dpop => vec![dpop()],
        }
    }

    /// Says which token was refused, so that its grant's timeline tells of it.
    #[must_use]
    pub fn about(mut self, names: TokenNames) -> Self {
        self.names.get_or_insert_with(|| Box::new(names));
        self
    }

    /// The audit event of this refusal.
    pub fn event(&self, word: &'static str) -> AuditEvent {
        let event = AuditEvent::new(word).outcome(self.refusal);
        match &self.names {
            Some(names) => event.names(names),
            None => event,
        }
    }

    /// The public sentence.
    pub fn sentence(&self) -> &str {
        &self.description
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The refusal's word.
    pub fn refusal(&self) -> &'static str {
        self.refusal
    }

    fn log(&self) {
        let (status, detail) = (
            self.status.as_u16(),
            self.detail.as_deref().unwrap_or_default(),
        );
        if self.status.is_server_error() {
            tracing::error!(status, refusal = self.refusal, detail, "a request failed");
        } else {
            tracing::info!(
                status,
                refusal = self.refusal,
                detail,
                "a request was refused"
            );
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let problem = Problem {
            r#type: format!("urn:tokensmith:problem:{}", self.refusal),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.description,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        no_store(headers);
        for challenge in self.challenges() {
            if let Ok(value) = HeaderValue::from_str(&challenge) {
                headers.append(header::WWW_AUTHENTICATE, value);
            }
        }
        if let Some(nonce) = &self.dpop_nonce {
            insert_dpop_nonce(headers, nonce);
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(ErrorLabel(self.refusal));
        response
    }
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        Self::unavailable(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Contended(_) => Self::unavailable(error),
            StoreError::Corrupt(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "store_corrupt",
                "The server failed. The failure was recorded.",
            )
            .with_detail(error),
        }
    }
}

/// A JSON body, read strictly: `application/json`, no duplicate members, no unknown ones if the type denies them.
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let read = json_body(request, state, &["application/json"]).await;
        read.map(Self).map_err(IntoResponse::into_response)
    }
}

/// A merge patch (RFC 7396), under its own media type or plain JSON's.
pub struct JsonPatch(pub serde_json::Map<String, serde_json::Value>);

impl<S: Send + Sync> FromRequest<S> for JsonPatch {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        const TYPES: [&str; 2] = ["application/json", "application/merge-patch+json"];
        let read = json_body(request, state, &TYPES).await;
        read.map(Self).map_err(IntoResponse::into_response)
    }
}

/// A JSON body of one of these types, read strictly.
///
/// # Errors
/// 415, 413, 400, 422.
pub(crate) async fn json_body<T: DeserializeOwned, S: Send + Sync>(
    request: Request,
    state: &S,
    types: &[&str],
) -> Result<T, ApiError> {
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| {
            let mut types = types.iter();
            types.any(|known| value.trim().eq_ignore_ascii_case(known))
        });
    if !is_json {
        let sentence = format!("Send the request body as {}.", types.join(" or "));
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "not_json", sentence));
    }
    let body = Bytes::from_request(request, state).await;
    let body = body.map_err(body_broken)?;
    tokensmith_jose::strict_json::from_slice(&body).map_err(|error| {
        // serde_json's sentences name members, types and places, never the values that were sent.
        let place = format!(
            "The request body is not acceptable JSON: {}.",
            sentence(&error)
        );
        ApiError::unprocessable("malformed_json", place)
    })
}

/// A body that is too large or did not arrive whole.
fn body_broken(broken: BytesRejection) -> ApiError {
    let (status, detail) = (broken.status(), broken.body_text());
    let (refusal, sentence) = broken_body_sentence(status);
    ApiError::new(status, refusal, sentence).with_detail(detail)
}

/// Refusal and public sentence of a body that could not be read, by its status.
pub(crate) fn broken_body_sentence(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The request body is too large."),
        _ => ("body_broken", "The request body did not arrive whole."),
    }
}

fn sentence(error: &serde_json::Error) -> String {
    match error.classify() {
        // A data error may quote the offending value: keep what was expected, drop what came.
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let expected = text.find("expected").map(|start| text[start..].to_owned());
            if let (true, Some(expected)) = (text.starts_with("unknown field"), &expected) {
                // The name of an unknown member is the sender's word, too.
                return format!("unknown field, {}", without_place(expected));
            }
            let named = ["missing field", "unknown field", "duplicate"]
                .iter()
                .any(|word| text.contains(word));
            if named {
                without_place(&text)
            } else {
                expected.unwrap_or_else(|| "a value has the wrong form".into())
            }
        }
        _ => format!(
            "syntax error at line {} column {}",
            error.line(),
            error.column()
        ),
    }
}

fn without_place(text: &str) -> String {
    text.split(" at line ").next().unwrap_or(text).to_owned()
}
