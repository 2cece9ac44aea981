//! Refusals as RFC 9457 problems that also carry the `detail` older clients read.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A status and one public sentence.
pub(crate) struct Problem(pub(crate) StatusCode, pub(crate) &'static str);

impl Problem {
    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Self(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn absent(detail: &'static str) -> Self {
        Self(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn unprocessable(detail: &'static str) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// Something this service needs does not answer.
    pub(crate) fn down(detail: &'static str) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    pub(crate) fn is_down(&self) -> bool {
        self.0 == StatusCode::SERVICE_UNAVAILABLE
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (title, status) = (self.0.canonical_reason(), self.0.as_u16());
        let body =
            json!({"type": "about:blank", "title": title, "status": status, "detail": self.1});
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.0, kind, body.to_string()).into_response();
        if self.is_down() {
            let seconds = HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
