//! Latency per endpoint and outcome. The endpoint is the matched route, told by a layer inside the
//! router to the edge outside of it; both run on the thread that polls the request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use http::{Method, StatusCode};
use metrics::{Key, Label};
use parking_lot::RwLock;
use tower::{Layer, Service};

use super::{Latency, Metrics};

const DURATION: &str = "http_request_duration_seconds";
const UNMATCHED: &str = "unmatched";

pub(super) fn describe(metrics: &Metrics) {
    metrics.help(
        DURATION,
        "Time from the end of the request header to the answer, by matched route, method, status class and error code.",
    );
}

/// Response extension: the error code of a refusal, as a metric label and log word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorLabel(pub &'static str);

/// What made a request end as it did, in few values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    method: &'static str,
    class: &'static str,
    error: &'static str,
}

/// The histograms of one endpoint.
#[derive(Debug)]
pub(crate) struct EndpointSeries {
    metrics: Metrics,
    endpoint: Arc<str>,
    outcomes: RwLock<Vec<(Outcome, Arc<Latency>)>>,
}

impl EndpointSeries {
    fn new(metrics: &Metrics, endpoint: &str) -> Arc<Self> {
        Arc::new(Self {
            metrics: metrics.clone(),
            endpoint: endpoint.into(),
            outcomes: RwLock::default(),
        })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn observe(
        &self,
        method: &Method,
        status: StatusCode,
        error: Option<ErrorLabel>,
        took: Duration,
    ) {
        let error = error.map_or("", |label| label.0);
        let outcome = Outcome {
            method: method_label(method),
            class: class(status),
            error,
        };
        if let Some((_, latency)) = self
            .outcomes
            .read()
            .iter()
            .find(|(known, _)| *known == outcome)
        {
            return latency.observe(took);
        }
        self.add(outcome).observe(took);
    }

    fn add(&self, outcome: Outcome) -> Arc<Latency> {
        let labels = vec![
            Label::new("endpoint", self.endpoint.to_string()),
            Label::new("method", outcome.method),
            Label::new("status", outcome.class),
            Label::new("error", outcome.error),
        ];
        let latency = self.metrics.latency_of(&Key::from_parts(DURATION, labels));
        let mut outcomes = self.outcomes.write();
        if !outcomes.iter().any(|(known, _)| *known == outcome) {
            outcomes.push((outcome, latency.clone()));
        }
        latency
    }
}

fn method_label(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

impl Metrics {
    /// The series of requests that matched no route.
    pub(crate) fn unmatched(&self) -> Arc<EndpointSeries> {
        EndpointSeries::new(self, UNMATCHED)
    }

    /// The layer for `Router::layer`, after all routes are added; the listener adds it.
    pub(crate) fn endpoint_layer(&self) -> EndpointLayer {
        EndpointLayer {
            metrics: self.clone(),
        }
    }
}

/// The series of routes without parameters, by their path. It holds no more than there are routes.
#[derive(Debug, Default)]
pub(crate) struct KnownEndpoints(RwLock<HashMap<Box<str>, Arc<EndpointSeries>>>);

impl KnownEndpoints {
    pub(crate) fn of(&self, path: &str) -> Option<Arc<EndpointSeries>> {
        self.0.read().get(path).cloned()
    }

    /// Keeps the series when the route is the path itself, letter by letter.
    pub(crate) fn learn(&self, path: &str, series: &Arc<EndpointSeries>) {
        if series.endpoint() == path {
            self.0.write().insert(path.into(), series.clone());
        }
    }
}

thread_local! {
    static AT_WORK: RefCell<Option<Arc<EndpointSeries>>> = const { RefCell::new(None) };
}

/// Takes the endpoint that the last poll on this thread ran into.
pub(crate) fn endpoint_at_work() -> Option<Arc<EndpointSeries>> {
    AT_WORK.take()
}

/// Tells the listener which route a request matched.
#[derive(Debug, Clone)]
pub(crate) struct EndpointLayer {
    metrics: Metrics,
}

impl<S> Layer<S> for EndpointLayer {
    type Service = EndpointService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EndpointService {
            inner,
            metrics: self.metrics.clone(),
            series: Arc::default(),
        }
    }
}

/// See [`EndpointLayer`]. One route has one such service, so its series is looked up once.
#[derive(Debug, Clone)]
pub(crate) struct EndpointService<S> {
    inner: S,
    metrics: Metrics,
    series: Arc<OnceLock<Arc<EndpointSeries>>>,
}

impl<S: Service<Request>> Service<Request> for EndpointService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let path = request.extensions().get::<MatchedPath>();
        let series = |path: &MatchedPath| EndpointSeries::new(&self.metrics, path.as_str());
        AT_WORK.set(path.map(|path| self.series.get_or_init(|| series(path)).clone()));
        self.inner.call(request)
    }
}
