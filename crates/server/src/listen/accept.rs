//! Accepting: one task per socket, one task per connection. A connection past the limit gets a 503
//! and a moment to read it; past that many, it is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::request::{Requests, Routes};
use super::tls::{ClientCertificate, Face, Tls};
use super::watch::Watch;
use super::wire::{Stream, Wire};
use super::{Edge, Stage, refusal};

/// Open files kept for the database, logs and calls to other servers.
const OTHER_FILES: u64 = 256;
/// The parser's own least buffer.
const LEAST_BUFFER: usize = 8192;
/// The parser's own number of header fields, which it keeps on the stack.
const USUAL_HEADER_COUNT: usize = 100;

/// Raises the soft limit of open files to the hard one and says how many connections fit.
pub(super) fn room_for(connections: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if setrlimit(Resource::Nofile, files).is_err() {
        tracing::debug!(target: "tokensmith::listen", "the limit of open files cannot be raised");
    }
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return connections;
    };
    let room = usize::try_from(files.saturating_sub(OTHER_FILES))
        .unwrap_or(usize::MAX)
        .max(64);
    if room < connections {
        tracing::warn!(target: "tokensmith::listen", files, room, "fewer connections than configured: the limit of open files is too low");
    }
    connections.min(room)
}

/// Where connections come from and what becomes of them.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) tls: Option<(Tls, Face)>,
    pub(super) routes: Routes,
    pub(super) edge: Arc<Edge>,
}

pub(super) async fn accept(listener: TcpListener, door: Door, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => admit(stream, peer, &door),
                Err(error) => pause_after(&error).await,
            },
        }
    }
    admit_the_queue(listener, &door);
}

/// Closing a socket resets what it has not accepted: take those who were in time. The system is asked directly,
/// because the runtime may not have heard of them yet.
fn admit_the_queue(listener: TcpListener, door: &Door) {
    let Ok(listener) = listener.into_std() else {
        return;
    };
    while let Ok((stream, peer)) = listener.accept() {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            admit(stream, peer, door);
        }
    }
}

/// A broken connection is the client's affair; anything else, such as too many open files, is ours
/// and would spin.
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::error!(target: "tokensmith::listen", %error, "cannot accept a connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, door: &Door) {
    let edge = &door.edge;
    let place = Place::take(edge.clone());
    if place.number > edge.max_connections {
        edge.take_back_idle();
        drop(place);
        if door.tls.is_none() {
            turn_away(stream);
        }
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(target: "tokensmith::listen", %error, "cannot set TCP_NODELAY");
    }
    match &door.tls {
        None => {
            let connection = connection(Stream::Clear(stream), peer, None, door);
            tokio::spawn(async move {
                connection.await;
                drop(place);
            });
        }
        Some((tls, face)) => {
            let (tls, face, door) = (tls.clone(), *face, door.clone());
            tokio::spawn(async move {
                secure(stream, peer, (&tls, face), &door).await;
                drop(place);
            });
        }
    }
}

/// Shakes hands and serves. A handshake that is not done when the server closes is not waited for.
async fn secure(stream: TcpStream, peer: SocketAddr, (tls, face): (&Tls, Face), door: &Door) {
    let stream = tokio::select! {
        stream = tls.accept(stream, face) => stream,
        () = door.edge.reaches(Stage::Closing) => None,
    };
    let Some(stream) = stream else { return };
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|chain| ClientCertificate::from_chain(chain.to_vec()));
    connection(Stream::Tls(stream), peer, certificate, door).await;
}

fn connection(
    stream: Stream,
    peer: SocketAddr,
    certificate: Option<ClientCertificate>,
    door: &Door,
) -> Connection {
    let (watch, edge) = (Arc::new(Watch::new()), &door.edge);
    let requests = Requests {
        routes: door.routes.clone(),
        edge: edge.clone(),
        watch: watch.clone(),
        peer,
        certificate,
    };
    let wire = Wire::new(stream, watch.clone(), edge.clone());
    let http = parser(edge).serve_connection(TokioIo::new(wire), requests);
    Connection::new(http, watch, edge.clone())
}

fn parser(edge: &Edge) -> http1::Builder {
    let mut parser = http1::Builder::new();
    parser.header_read_timeout(None); // the connection's own timer does this, without one more per request
    parser
        .max_buf_size(edge.header_bytes.max(LEAST_BUFFER))
        .max_header_size(edge.header_bytes);
    if edge.header_count != USUAL_HEADER_COUNT {
        parser.max_headers(edge.header_count);
    }
    parser
}

/// One open connection, counted.
struct Place {
    edge: Arc<Edge>,
    number: usize,
}

impl Place {
    fn take(edge: Arc<Edge>) -> Self {
        let number = edge.connections.fetch_add(1, Relaxed) + 1;
        Self { edge, number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.edge.connections.fetch_sub(1, Relaxed) == 1 {
            self.edge.all_closed.notify_waiters();
        }
    }
}

/// Tells one too many so, unless too many are being told already.
fn turn_away(mut stream: TcpStream) {
    static BEING_TOLD: AtomicUsize = AtomicUsize::new(0);
    const MOST: usize = 64;
    if BEING_TOLD.fetch_add(1, Relaxed) >= MOST {
        BEING_TOLD.fetch_sub(1, Relaxed);
        return;
    }
    tokio::spawn(async move {
        let told = async {
            stream
                .write_all(&refusal::raw(StatusCode::SERVICE_UNAVAILABLE))
                .await?;
            stream.shutdown().await?;
            let mut space = [0u8; 4096];
            while stream.read(&mut space).await? > 0 {}
            std::io::Result::Ok(())
        };
        let _ = tokio::time::timeout(Duration::from_millis(250), told).await;
        BEING_TOLD.fetch_sub(1, Relaxed);
    });
}
