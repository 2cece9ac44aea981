//! The listener: HTTP/1.1 (RFC 9112) with limits on header, body, time, connections and requests at
//! work, and a shutdown that loses no request. Refuses what could be read in two ways.
//! HTTP/2 is left to a proxy in front: on a clear-text socket it only widens the attack surface.

mod accept;
mod body;
mod client_ip;
mod connection;
mod framing;
mod refusal;
mod request;
mod tls;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use http::{Method, StatusCode};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::client_ip::client_ip;
pub use self::request::PeerAddr;
use self::request::Routes;
pub use self::tls::{
    CertificateError, Certificates, ChainRefusal, ClientCa, ClientCertificate, Face, Tls,
    thumbprint,
};

use crate::config::{CertificateProxies, Config, Limits};
use crate::observe::metrics::{EndpointSeries, ErrorLabel, KnownEndpoints, Metrics};

/// Connections the kernel keeps for us while we are busy accepting others.
const BACKLOG: u32 = 4096;
/// Idle time after which a connection is taken back when there is no room for new ones.
const MAY_BE_TAKEN_BACK: Duration = Duration::from_secs(1);

/// What the listener needs to know besides its sockets.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Sizes, times and numbers.
    pub limits: Limits,
    /// Whose word on the client's address and certificate counts.
    pub proxies: CertificateProxies,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// The certificate, when the sockets speak TLS.
    pub tls: Option<Tls>,
}

/// Open sockets: those of `listen`, and those of `mtls.listen`, which ask for a client certificate.
#[derive(Debug, Default)]
pub struct Sockets {
    /// `listen`.
    pub usual: Vec<TcpListener>,
    /// `mtls.listen`.
    pub asking: Vec<TcpListener>,
}

impl Sockets {
    /// Opens the configured sockets.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn bind(config: &Config) -> io::Result<Self> {
        Ok(Self {
            usual: bind(&config.listen)?,
            asking: bind(&config.mtls.listen)?,
        })
    }
}

impl From<Vec<TcpListener>> for Sockets {
    fn from(usual: Vec<TcpListener>) -> Self {
        Self {
            usual,
            asking: Vec::new(),
        }
    }
}

/// Opens the sockets.
///
/// # Errors
/// The first address that cannot be listened on, named in the error.
pub fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let open = |address: &SocketAddr| {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(*address)?;
        socket.listen(BACKLOG)
    };
    let named = |address: &SocketAddr, error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    addresses
        .iter()
        .map(|address| open(address).map_err(|error| named(address, error)))
        .collect()
}

/// Serves until `shutdown` ends, then drains: no new connections; for `drain_notice` every answer
/// says `Connection: close`; then idle connections are closed; after `drain_timeout` all are.
///
/// # Errors
/// None at present; a socket that fails is tried again.
pub async fn serve(
    sockets: impl Into<Sockets>,
    router: Router,
    listen: Listen,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let edge = Edge::new(&listen);
    let _cut_off = CutOff(edge.clone());
    let routes = Routes::new(router, &listen.metrics);
    let stop = CancellationToken::new();
    let mut accepting = JoinSet::new();
    let Sockets { usual, asking } = sockets.into();
    let usual = usual.into_iter().map(|socket| (socket, Face::Usual));
    let asking = asking.into_iter().map(|socket| (socket, Face::Asking));
    for (socket, face) in usual.chain(asking) {
        let door = accept::Door {
            tls: listen.tls.clone().map(|tls| (tls, face)),
            routes: routes.clone(),
            edge: edge.clone(),
        };
        accepting.spawn(accept::accept(socket, door, stop.clone()));
    }
    shutdown.await;
    edge.enter(Stage::Notice);
    stop.cancel();
    while accepting.join_next().await.is_some() {}
    edge.drain(&listen.limits).await;
    Ok(())
}

/// Ends every connection when the future of [`serve`] is dropped.
struct CutOff(Arc<Edge>);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.enter(Stage::Ended);
    }
}

/// The life of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Stage {
    Serving,
    /// Answers say that the connection ends.
    Notice,
    /// Idle connections are closed.
    Closing,
    /// All connections are closed.
    Ended,
}

const STAGES: [Stage; 4] = [Stage::Serving, Stage::Notice, Stage::Closing, Stage::Ended];

/// Time limits in nanoseconds.
#[derive(Debug)]
struct Times {
    header_read: u64,
    idle: u64,
    request: u64,
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Edge {
    times: Times,
    header_bytes: usize,
    header_count: usize,
    body_limit: usize,
    max_in_flight: usize,
    max_connections: usize,
    proxies: CertificateProxies,
    unmatched: Arc<EndpointSeries>,
    known: KnownEndpoints,
    in_flight: AtomicUsize,
    connections: AtomicUsize,
    stage: AtomicU8,
    /// Counts signals; each wakes every connection.
    epoch: AtomicU64,
    signal: Arc<Notify>,
    took_back_at: AtomicU64,
    all_closed: Notify,
}

impl Edge {
    fn new(listen: &Listen) -> Arc<Self> {
        let limits = &listen.limits;
        let edge = Arc::new(Self {
            times: Times {
                header_read: watch::nanos(limits.header_read_timeout),
                idle: watch::nanos(limits.idle_timeout),
                request: watch::nanos(limits.request_timeout),
            },
            header_bytes: limits.header_bytes.bytes(),
            header_count: limits.header_count.get(),
            body_limit: limits.body.bytes(),
            max_in_flight: limits.max_in_flight.get(),
            max_connections: accept::room_for(limits.max_connections.get()),
            proxies: listen.proxies.clone(),
            unmatched: listen.metrics.unmatched(),
            known: KnownEndpoints::default(),
            in_flight: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            stage: AtomicU8::new(Stage::Serving as u8),
            epoch: AtomicU64::new(0),
            signal: Arc::default(),
            took_back_at: AtomicU64::new(0),
            all_closed: Notify::new(),
        });
        edge.show_gauges(&listen.metrics);
        edge
    }

    fn show_gauges(self: &Arc<Self>, metrics: &Metrics) {
        let gauge = |read: fn(&Self) -> usize| {
            let edge = Arc::downgrade(self);
            move || edge.upgrade().map_or(0.0, |edge| read(&edge) as f64)
        };
        let connections = gauge(|edge| edge.connections.load(Relaxed));
        metrics.probe("http_connections", "Open connections.", connections);
        let in_flight = gauge(|edge| edge.in_flight.load(Relaxed));
        metrics.probe("http_requests_in_flight", "Requests at work.", in_flight);
        let most = gauge(|edge| edge.max_connections);
        metrics.probe("http_connections_limit", "Most open connections.", most);
    }

    fn begin_request(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    fn end_request(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    fn is_busy(&self) -> bool {
        self.in_flight.load(Relaxed) > self.max_in_flight
    }

    fn stage(&self) -> Stage {
        STAGES[usize::from(self.stage.load(Relaxed))]
    }

    fn is_draining(&self) -> bool {
        self.stage() != Stage::Serving
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(std::sync::atomic::Ordering::Acquire)
    }

    fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.epoch
            .fetch_add(1, std::sync::atomic::Ordering::Release);
        self.signal.notify_waiters();
    }

    /// Asks idle connections to make room, at most once a second.
    fn take_back_idle(&self) {
        let (now, last) = (watch::now(), self.took_back_at.load(Relaxed));
        let is_due = last == 0 || now.saturating_sub(last) > watch::nanos(MAY_BE_TAKEN_BACK);
        if is_due
            && self
                .took_back_at
                .compare_exchange(last, now, Relaxed, Relaxed)
                .is_ok()
        {
            self.wake_all();
        }
    }

    /// Whether a connection that has been idle since then is taken back.
    fn takes_back(&self, idle_since: u64) -> bool {
        let asked = self.took_back_at.load(Relaxed);
        asked != 0 && idle_since.saturating_add(watch::nanos(MAY_BE_TAKEN_BACK)) < asked
    }

    /// Counts and logs what the parser refused before it was a request.
    fn note_not_http(&self, status: StatusCode) {
        let method = Method::from_bytes(b"UNREAD").unwrap_or_default();
        self.unmatched.observe(
            &method,
            status,
            Some(ErrorLabel("not_http")),
            Duration::ZERO,
        );
        tracing::debug!(target: "tokensmith::access", status = status.as_u16(), "what arrived is not a request");
    }

    async fn drain(&self, limits: &Limits) {
        let _ = tokio::time::timeout(limits.drain_notice, self.closed()).await;
        self.enter(Stage::Closing);
        let rest = limits.drain_timeout.saturating_sub(limits.drain_notice);
        if tokio::time::timeout(rest, self.closed()).await.is_err() {
            let connections = self.connections.load(Relaxed);
            tracing::warn!(target: "tokensmith::listen", connections, "cut off what was still at work at the end of drain_timeout");
        }
        self.enter(Stage::Ended);
    }

    /// Ends when the server has come that far.
    async fn reaches(&self, stage: Stage) {
        loop {
            let signal = self.signal.notified();
            if self.stage() >= stage {
                return;
            }
            signal.await;
        }
    }

    /// Ends when no connection is open.
    async fn closed(&self) {
        loop {
            let closed = self.all_closed.notified();
            if self.connections.load(Relaxed) == 0 {
                return;
            }
            closed.await;
        }
    }
}
