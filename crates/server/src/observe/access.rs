//! One line per request: success at `debug`, refusals at `info`, our own failures at `warn`.
//! It names the matched route, never the raw path or query, which may hold a code or a token.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use tracing::Span;

use super::metrics::ErrorLabel;
use crate::correlation::{self, CorrelationId};

const TARGET: &str = "tokensmith::access";

/// What is known of a request when its answer begins.
pub(crate) struct Line<'a> {
    pub(crate) method: &'a Method,
    pub(crate) endpoint: &'a str,
    pub(crate) client: IpAddr,
    pub(crate) took: Duration,
}

impl Line<'_> {
    pub(crate) fn write(
        &self,
        status: StatusCode,
        error: Option<ErrorLabel>,
        id: CorrelationId,
        span: &Span,
    ) {
        if !span.is_disabled() {
            span.record("http.route", self.endpoint)
                .record("http.response.status_code", status.as_u16());
        }
        let error = error.map(|label| label.0);
        macro_rules! line {
            ($level:ident) => {
                if tracing::enabled!(target: TARGET, tracing::Level::$level) {
                    let _entered = correlation::enter(Some(id));
                    tracing::event!(
                        target: TARGET, tracing::Level::$level,
                        method = self.method.as_str(), endpoint = self.endpoint, status = status.as_u16(), error,
                        client = %self.client, micros = self.took.as_micros() as u64, "answered"
                    );
                }
            };
        }
        match status.as_u16() {
            500.. => line!(WARN),
            400.. => line!(INFO),
            _ => line!(DEBUG),
        }
    }
}

/// The span of a request, for export. Without export nothing is interested and none is made.
pub(crate) fn span<B>(request: &Request<B>, id: &CorrelationId) -> Span {
    let span = tracing::info_span!(
        target: "tokensmith::request", "request", otel.kind = "server",
        http.request.method = request.method().as_str(), correlation_id = id.as_str(),
        http.route = tracing::field::Empty, http.response.status_code = tracing::field::Empty,
    );
    #[cfg(feature = "otel")]
    if !span.is_disabled() {
        super::otel::adopt_parent(&span, request.headers());
    }
    span
}
