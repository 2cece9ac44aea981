//! Errors of the OAuth endpoints: a JSON object with `error` and `error_description` (RFC 6749 §5.2).

use std::borrow::Cow;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use tokensmith_oauth2::{ErrorCode, ErrorResponse, FormError, challenge};
use tokensmith_store::{AuditEvent, StoreError, TokenNames};

use super::ApiError;
use crate::observe::metrics::ErrorLabel;

/// A refusal of an OAuth endpoint.
#[derive(Debug)]
pub struct OAuthError {
    code: ErrorCode,
    /// One public sentence.
    description: Cow<'static, str>,
    /// The refusal's word: metric label and audit word.
    refusal: &'static str,
    /// What the log may know and the caller may not.
    detail: Option<String>,
    /// Whether the caller tried HTTP Basic, and so must be told the scheme.
    challenge_basic: bool,
    /// The nonce the next DPoP proof must repeat (RFC 9449 §8).
    dpop_nonce: Option<Box<str>>,
    retry_after_seconds: Option<u32>,
    status: Option<StatusCode>,
    /// Whom and what the refused token speaks of, for the audit line alone.
    names: Option<Box<TokenNames>>,
}

impl OAuthError {
    /// A refusal with its public sentence. `refusal` is its word in metrics and audit.
    pub fn new(
        code: ErrorCode,
        refusal: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            description: description.into(),
            refusal,
            detail: None,
            challenge_basic: false,
            dpop_nonce: None,
            retry_after_seconds: None,
            status: None,
            names: None,
        }
    }

    /// `invalid_request`.
    pub fn invalid_request(
        refusal: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorCode::InvalidRequest, refusal, description)
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(detail: impl ToString) -> Self {
        let mut error = Self::new(
            ErrorCode::TemporarilyUnavailable,
            "unavailable",
            "The server cannot answer right now. Try again in a moment.",
        );
        error.retry_after_seconds = Some(1);
        error.with_detail(detail)
    }

    /// 429 with `Retry-After` (RFC 6585 §4).
    pub fn rate_limited(retry_after: std::time::Duration) -> Self {
        let sentence = "Too many requests. Wait as long as Retry-After says.";
        let mut error = Self::new(ErrorCode::TemporarilyUnavailable, "rate_limited", sentence);
        error.retry_after_seconds = Some(whole_seconds(retry_after));
        error.with_status(StatusCode::TOO_MANY_REQUESTS)
    }

    /// Adds what the log may know.
    #[must_use]
    pub fn with_detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Answers with `WWW-Authenticate: Basic` (RFC 6749 §5.2).
    #[must_use]
    pub fn challenge_basic(mut self) -> Self {
        self.challenge_basic = true;
        self
    }

    /// Answers with a nonce for the next DPoP proof (RFC 9449 §8).
    #[must_use]
    pub fn with_dpop_nonce(mut self, nonce: String) -> Self {
        self.dpop_nonce = Some(nonce.into());
        self
    }

    /// Answers with a status of its own, for instance 415.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Says which grant was refused, so that its timeline tells of it. What was said first stays.
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

    /// The refusal's word.
    pub fn refusal(&self) -> &'static str {
        self.refusal
    }

    /// The public sentence.
    pub fn sentence(&self) -> &str {
        &self.description
    }

    /// The OAuth error code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    fn status(&self) -> StatusCode {
        let of_code =
            StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
        self.status.unwrap_or(of_code)
    }

    fn log(&self) {
        let detail = self.detail.as_deref().unwrap_or_default();
        if self.status().is_server_error() {
            tracing::error!(error = %self.code, refusal = self.refusal, detail, "an OAuth request failed");
        } else {
            tracing::info!(error = %self.code, refusal = self.refusal, detail, "an OAuth request was refused");
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        self.log();
        let (status, body) = (
            self.status(),
            ErrorResponse::new(self.code, self.description),
        );
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        no_store(headers);
        if self.challenge_basic
            && let Ok(value) =
                HeaderValue::from_str(&challenge::Basic::new("tokensmith").to_string())
        {
            headers.insert(header::WWW_AUTHENTICATE, value);
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

/// A wait as `Retry-After` says it: whole seconds, never too short.
pub(crate) fn whole_seconds(wait: std::time::Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// `DPoP-Nonce` (RFC 9449 §8).
pub(crate) fn insert_dpop_nonce(headers: &mut http::HeaderMap, nonce: &str) {
    if let Ok(value) = HeaderValue::from_str(nonce) {
        headers.insert("dpop-nonce", value);
    }
}

/// `Cache-Control: no-store` (RFC 6749 §5.1).
pub(crate) fn no_store(headers: &mut http::HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Contended(_) => Self::unavailable(error),
            StoreError::Corrupt(_) => Self::new(
                ErrorCode::ServerError,
                "store_corrupt",
                "The server failed. The failure was recorded.",
            )
            .with_detail(error),
        }
    }
}

/// The same refusal where the caller is a JSON API: what was granted and is no longer good is 401 there.
impl From<OAuthError> for ApiError {
    fn from(error: OAuthError) -> Self {
        let status = match error.code {
            ErrorCode::InvalidGrant => StatusCode::UNAUTHORIZED,
            _ => error.status(),
        };
        let mut api = Self::new(status, error.refusal, error.description);
        if let Some(detail) = error.detail {
            api = api.with_detail(detail);
        }
        match error.retry_after_seconds {
            Some(seconds) => api.with_retry_after(seconds),
            None => api,
        }
    }
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        Self::invalid_request(
            "malformed_form",
            format!("The request body is not acceptable: {error}."),
        )
    }
}
