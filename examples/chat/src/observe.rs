//! What every request gets: a correlation id, a log line, metrics.

use std::{sync::OnceLock, time::Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use metrics::histogram;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The correlation id of a request, as it is echoed and passed on.
#[derive(Clone)]
pub(crate) struct CorrelationId(pub(crate) HeaderValue);

pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = correlation_id(request.headers());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str);
    let (route, method) = (route.to_owned(), request.method().to_string());
    request.extensions_mut().insert(CorrelationId(id.clone()));
    let mut response = next.run(request).await;
    let (status, took) = (response.status().as_str().to_owned(), started.elapsed());
    tracing::info!(method, route, status, correlation_id = ?id, ?took, "request");
    let labels = [("method", method), ("route", route), ("status", status)];
    histogram!("chat_http_request_duration_seconds", &labels).record(took);
    response.headers_mut().insert(CORRELATION_ID, id);
    response
}

/// That of the request when it is 1 to 64 URL-safe characters, else a new one.
fn correlation_id(headers: &HeaderMap) -> HeaderValue {
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    match headers.get(CORRELATION_ID) {
        Some(id) if (1..=64).contains(&id.len()) && id.as_bytes().iter().all(is_safe) => id.clone(),
        _ => HeaderValue::try_from(crate::store::new_id().to_string()).expect("a UUID is ASCII"),
    }
}

/// The recorder of the process, as there can be only one.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .expect("there are buckets");
        builder
            .install_recorder()
            .expect("nothing else installs a recorder")
    })
}
