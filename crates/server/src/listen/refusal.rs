//! Answers of the edge itself, for requests that never reach a route. The body is a problem document
//! (RFC 9457) that also has the members of RFC 6749 section 5.2, since both kinds of client may read it.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use crate::correlation::CorrelationId;
use crate::observe::metrics::ErrorLabel;

/// Why a request was refused before routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Both `Content-Length` and `Transfer-Encoding`, or a coding other than `chunked`.
    Framing,
    /// HTTP/1.1 without exactly one `Host`.
    Host,
    /// A trusted proxy's word on the client's certificate cannot be read.
    ProxyCertificate,
    /// The announced body is over the limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    SlowBody,
    /// The answer was not ready in time.
    SlowAnswer,
    /// Too many requests are at work.
    Busy,
    /// The code behind the route panicked.
    Panicked,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        let bad = |sentence| (StatusCode::BAD_REQUEST, "invalid_request", sentence);
        let busy = |sentence| {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                sentence,
            )
        };
        match self {
            Self::Framing => bad(
                "The length of the request body is not clear: send either Content-Length or Transfer-Encoding: chunked.",
            ),
            Self::Host => bad("The request must have exactly one Host header field."),
            Self::ProxyCertificate => bad(
                "The header field in which the proxy passes on the client's certificate cannot be read.",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "invalid_request",
                "The request body is too large.",
            ),
            Self::SlowBody => (
                StatusCode::REQUEST_TIMEOUT,
                "invalid_request",
                "The request body did not arrive in time.",
            ),
            Self::SlowAnswer => busy("The request took too long. Try again."),
            Self::Busy => busy("The server is busy. Try again in a moment."),
            Self::Panicked => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "The server made a mistake. Quote the correlation id when you report it.",
            ),
        }
    }

    /// A word for the metric label and the log line.
    fn label(self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::Host => "host",
            Self::ProxyCertificate => "proxy_certificate",
            Self::BodyTooLarge => "body_too_large",
            Self::SlowBody => "slow_body",
            Self::SlowAnswer => "slow_answer",
            Self::Busy => "busy",
            Self::Panicked => "panic",
        }
    }

    /// Whether the connection cannot be used for another request.
    pub(super) fn ends_connection(self) -> bool {
        !matches!(self, Self::Busy | Self::Panicked)
    }

    pub(super) fn answer(self) -> Response {
        let (status, error, sentence) = self.parts();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut answer = (status, Body::from(body(status, error, sentence))).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.ends_connection() {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.extensions_mut().insert(ErrorLabel(self.label()));
        answer
    }
}

fn body(status: StatusCode, error: &str, sentence: &str) -> String {
    let title = status.canonical_reason().unwrap_or_default();
    let number = status.as_u16();
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{number},\"detail\":\"{sentence}\",\
         \"error\":\"{error}\",\"error_description\":\"{sentence}\"}}"
    )
}

/// A whole answer as bytes, for what is refused before it is a request. The connection then ends.
pub(super) fn raw(status: StatusCode) -> Vec<u8> {
    let (error, sentence) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("invalid_request", "The request header is too large.")
        }
        StatusCode::URI_TOO_LONG => ("invalid_request", "The request target is too long."),
        StatusCode::SERVICE_UNAVAILABLE => (
            "temporarily_unavailable",
            "The server has too many connections. Try again in a moment.",
        ),
        _ => ("invalid_request", "The request is not valid HTTP."),
    };
    raw_with(status, error, sentence)
}

/// The same with a sentence of its own.
pub(super) fn raw_with(status: StatusCode, error: &str, sentence: &str) -> Vec<u8> {
    let body = body(status, error, sentence);
    let retry = if status == StatusCode::SERVICE_UNAVAILABLE {
        "retry-after: 1\r\n"
    } else {
        ""
    };
    let id = CorrelationId::fresh();
    let reason = status.canonical_reason().unwrap_or_default();
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n{retry}\
         x-correlation-id: {id}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        status.as_u16(),
        body.len(),
    )
    .into_bytes()
}
