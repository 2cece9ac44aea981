//! One request at the edge: framing rules, limits, correlation id, panics, metrics and its log line.
//! Everything here is inline in the connection's task and allocates nothing of its own but the body.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use hyper::body::Incoming;
use tower::Service;
use tracing::Span;

use super::body::{Sent, Upload};
use super::refusal::Refusal;
use super::watch::{Phase, Watch, now};
use super::{ClientCertificate, Edge, client_ip, tls};
use crate::correlation::{self, CorrelationId, X_CORRELATION_ID};
use crate::observe::access;
use crate::observe::metrics::{EndpointSeries, ErrorLabel, Metrics, endpoint_at_work};

/// Request extension: who sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr {
    /// The other end of the socket.
    pub socket: SocketAddr,
    /// The client's address, which trusted proxies may have named.
    pub client: IpAddr,
}

/// The routes twice: with the layer that tells the matched route, and without it for literal paths
/// whose route is known already, since a layer costs every request a microsecond.
#[derive(Clone)]
pub(super) struct Routes {
    labelled: Router,
    plain: Router,
}

impl Routes {
    pub(super) fn new(plain: Router, metrics: &Metrics) -> Self {
        let labelled = plain.clone().layer(metrics.endpoint_layer());
        Self { labelled, plain }
    }
}

/// The requests of one connection.
pub(super) struct Requests {
    pub(super) routes: Routes,
    pub(super) edge: Arc<Edge>,
    pub(super) watch: Arc<Watch>,
    pub(super) peer: SocketAddr,
    /// The client's certificate, when this connection showed one.
    pub(super) certificate: Option<ClientCertificate>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = http::Response<Sent>;
    type Error = Infallible;
    type Future = AtWork;

    fn call(&self, request: Request<Incoming>) -> AtWork {
        let started = self.watch.begin_request();
        self.edge.begin_request();
        let peer = self.peer_of(request.headers());
        let id = CorrelationId::of(request.headers());
        let (certificate, refusal) = match self.certificate_of(request.headers()) {
            Ok(certificate) => (certificate, self.refuse(&request)),
            Err(refusal) => (None, self.refuse(&request).or(Some(refusal))),
        };
        let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let mut at_work = AtWork {
            work: Work::Refused(Refusal::Busy),
            edge: self.edge.clone(),
            watch: self.watch.clone(),
            span: access::span(&request, &id),
            id,
            method: request.method().clone(),
            series: self.edge.known.of(request.uri().path()),
            unknown: None,
            started,
            client: peer.client,
            // RFC 9112 section 6.1: nobody may smuggle a request behind a chunked one.
            close: is_chunked,
            counted: true,
        };
        if at_work.series.is_none() {
            at_work.unknown = Some(request.uri().clone());
        }
        at_work.work = match refusal {
            Some(refusal) => Work::Refused(refusal),
            None => {
                Work::Routed(self.route(request, (peer, certificate), id, at_work.series.is_some()))
            }
        };
        at_work
    }
}

impl Requests {
    fn peer_of(&self, headers: &HeaderMap) -> PeerAddr {
        let client = client_ip(self.peer.ip(), headers, &self.edge.proxies.proxies);
        PeerAddr {
            socket: self.peer,
            client,
        }
    }

    /// A trusted proxy speaks for its client, with a certificate or without; its own connection's does not count then.
    fn certificate_of(&self, headers: &HeaderMap) -> Result<Option<ClientCertificate>, Refusal> {
        match tls::from_proxy(self.peer.ip(), headers, &self.edge.proxies) {
            Some(said) => said.map_err(|_| Refusal::ProxyCertificate),
            None => Ok(self.certificate.clone()),
        }
    }

    /// What can be refused by the header alone, the body untouched.
    fn refuse(&self, request: &Request<Incoming>) -> Option<Refusal> {
        let headers = request.headers();
        self.watch
            .body_pending
            .store(!hyper::body::Body::is_end_stream(request.body()), Relaxed);
        if has_unclear_framing(headers, self.watch.names_length.load(Relaxed)) {
            return Some(Refusal::Framing);
        }
        if request.version() == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
            return Some(Refusal::Host);
        }
        if content_length(headers).is_some_and(|length| length > self.edge.body_limit as u64) {
            return Some(Refusal::BodyTooLarge);
        }
        self.edge.is_busy().then_some(Refusal::Busy)
    }

    fn route(
        &self,
        request: Request<Incoming>,
        (peer, certificate): (PeerAddr, Option<ClientCertificate>),
        id: CorrelationId,
        is_known: bool,
    ) -> RouteFuture<Infallible> {
        let mut request =
            request.map(|incoming| Upload::body(incoming, self.edge.body_limit, &self.watch));
        let extensions = request.extensions_mut();
        extensions.insert(peer);
        extensions.insert(id);
        if let Some(certificate) = certificate {
            extensions.insert(certificate);
        }
        let routes = if is_known {
            &self.routes.plain
        } else {
            &self.routes.labelled
        };
        routes.clone().call(request)
    }
}

fn has_unclear_framing(headers: &HeaderMap, names_length: bool) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) => names_length || !coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => true,
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[expect(
    clippy::large_enum_variant,
    reason = "boxing would cost every request an allocation"
)]
enum Work {
    Routed(RouteFuture<Infallible>),
    Refused(Refusal),
}

/// A request on its way to an answer.
pub(super) struct AtWork {
    work: Work,
    edge: Arc<Edge>,
    watch: Arc<Watch>,
    id: CorrelationId,
    span: Span,
    method: Method,
    series: Option<Arc<EndpointSeries>>,
    /// Where it went, while the route is not known.
    unknown: Option<Uri>,
    started: u64,
    client: IpAddr,
    close: bool,
    /// Counted among the requests at work; passed on to the body of the answer.
    counted: bool,
}

impl Future for AtWork {
    type Output = Result<http::Response<Sent>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.watch.expired.swap(false, Relaxed) {
            let body_pending = this.watch.body_pending.load(Relaxed);
            this.work = Work::Refused(if body_pending {
                Refusal::SlowBody
            } else {
                Refusal::SlowAnswer
            });
        }
        let outcome = match &mut this.work {
            Work::Refused(refusal) => Poll::Ready(Err(*refusal)),
            Work::Routed(route) => poll_route(route, this.id, &this.span, cx),
        };
        if this.series.is_none() {
            this.note_series();
        }
        match outcome {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(answer)) => Poll::Ready(Ok(this.finish(answer))),
            Poll::Ready(Err(refusal)) => {
                this.close |= refusal.ends_connection();
                Poll::Ready(Ok(this.finish(refusal.answer())))
            }
        }
    }
}

/// Polls the route with the correlation id on the thread; a panic becomes an answer.
fn poll_route(
    route: &mut RouteFuture<Infallible>,
    id: CorrelationId,
    span: &Span,
    cx: &mut Context<'_>,
) -> Poll<Result<Response, Refusal>> {
    let _span = span.enter();
    let _entered = correlation::enter(Some(id));
    let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(route).poll(cx)));
    match polled {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Ok(answer))) => Poll::Ready(Ok(answer)),
        Err(_) => Poll::Ready(Err(Refusal::Panicked)),
    }
}

impl AtWork {
    fn note_series(&mut self) {
        self.series = endpoint_at_work();
        if let (Some(series), Some(uri)) = (
            &self.series,
            self.unknown.take_if(|_| self.series.is_some()),
        ) {
            self.edge.known.learn(uri.path(), series);
        }
    }

    fn finish(&mut self, mut answer: Response) -> http::Response<Sent> {
        let ended = now();
        self.watch.enter_at(Phase::Answer, ended);
        self.watch.unsent.store(true, Relaxed);
        let error = answer.extensions_mut().remove::<ErrorLabel>();
        let took = Duration::from_nanos(ended.saturating_sub(self.started));
        let series = self.series.as_deref().unwrap_or(&self.edge.unmatched);
        series.observe(&self.method, answer.status(), error, took);
        let line = access::Line {
            method: &self.method,
            endpoint: series.endpoint(),
            client: self.client,
            took,
        };
        line.write(answer.status(), error, self.id, &self.span);
        answer
            .headers_mut()
            .insert(&X_CORRELATION_ID, self.id.header_value());
        if self.close || self.edge.is_draining() {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.counted = false;
        answer.map(|body: Body| Sent::new(body, self.edge.clone(), self.watch.clone()))
    }
}

/// A request whose connection broke before the answer is no longer at work either.
impl Drop for AtWork {
    fn drop(&mut self) {
        if self.counted {
            self.edge.end_request();
        }
    }
}
