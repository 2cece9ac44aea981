//! The socket as the HTTP parser sees it. It keeps the watch, gives the parser's bare error answers
//! a body and a correlation id, and lingers at the end so that a refused client can read why.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Edge;
use super::framing::HeadWatch;
use super::refusal;
use super::watch::{Phase, Watch};

/// Bytes of a refused request that are read and thrown away at most.
const LINGER_BYTES: usize = 64 << 20;

/// A connection, in clear or under TLS.
pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One call on whichever stream it is.
macro_rules! on_stream {
    ($stream:expr, $call:ident($($argument:expr),*)) => {
        match $stream {
            Stream::Clear(stream) => Pin::new(stream).$call($($argument),*),
            Stream::Tls(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

pub(super) struct Wire {
    stream: Stream,
    watch: Arc<Watch>,
    edge: Arc<Edge>,
    head: HeadWatch,
    /// Our own text in place of the parser's error answer, and how much of it is sent.
    replaced: Option<(Vec<u8>, usize)>,
    lingered: usize,
}

impl Wire {
    pub(super) fn new(stream: Stream, watch: Arc<Watch>, edge: Arc<Edge>) -> Self {
        Self {
            stream,
            watch,
            edge,
            head: HeadWatch::default(),
            replaced: None,
            lingered: 0,
        }
    }

    fn note_read(&mut self, bytes: &[u8]) {
        match self.watch.phase() {
            Phase::Idle => {
                self.head = HeadWatch::default();
                self.watch.enter(Phase::Head);
                self.watch.one_read.store(true, Relaxed);
            }
            Phase::Head => self.watch.one_read.store(false, Relaxed),
            Phase::Request | Phase::Answer | Phase::Linger => return,
        }
        self.head.follow(bytes);
        self.watch
            .names_length
            .store(self.head.names_length(), Relaxed);
    }

    /// The parser answers by itself only when there is no request at work.
    fn replace_error(&mut self, bytes: &[u8]) {
        let waiting = matches!(self.watch.phase(), Phase::Head | Phase::Idle)
            && !self.watch.unsent.load(Relaxed);
        let status = bytes
            .strip_prefix(b"HTTP/1.1 4")
            .and_then(|_| bytes.get(9..12));
        if let (true, None, Some(status)) = (waiting, &self.replaced, status) {
            let status = StatusCode::from_bytes(status).unwrap_or(StatusCode::BAD_REQUEST);
            self.edge.note_not_http(status);
            self.watch.body_pending.store(true, Relaxed);
            self.replaced = Some((refusal::raw(status), 0));
        }
    }

    /// Sends our text; then the parser's own, of the given length, counts as sent.
    fn poll_replaced(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        let (text, sent) = self.replaced.as_mut()?;
        while *sent < text.len() {
            match on_stream!(&mut self.stream, poll_write(cx, &text[*sent..])) {
                Poll::Ready(Ok(0)) => {
                    return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(n)) => *sent += n,
                other => return Some(other),
            }
        }
        Some(Poll::Ready(Ok(length)))
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_))) && self.watch.phase() == Phase::Answer {
            self.watch.enter(Phase::Answer);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(on_stream!(&mut self.stream, poll_read(cx, buf)))?;
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            self.note_read(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.replace_error(bytes);
        if let Some(replaced) = self.poll_replaced(cx, bytes.len()) {
            return replaced;
        }
        let written = on_stream!(&mut self.stream, poll_write(cx, bytes));
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.replace_error(bufs.first().map_or(&[], |first| first));
        if let Some(replaced) = self.poll_replaced(cx, bufs.iter().map(|buf| buf.len()).sum()) {
            return replaced;
        }
        let written = on_stream!(&mut self.stream, poll_write_vectored(cx, bufs));
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Clear(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The parser flushes the socket only when its own buffer is empty.
        self.watch.unsent.store(false, Relaxed);
        on_stream!(&mut self.stream, poll_flush(cx))
    }

    /// Closing a socket with unread bytes resets it, and the client may lose the answer: so the
    /// sending side is closed first and what still arrives is thrown away for a moment.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.phase() != Phase::Linger {
            ready!(on_stream!(&mut self.stream, poll_shutdown(cx)))?;
            if !self.watch.body_pending.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.watch.enter(Phase::Linger);
        }
        let mut space = [0u8; 16 * 1024];
        while self.lingered < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut space);
            ready!(on_stream!(&mut self.stream, poll_read(cx, &mut buf)))?;
            if buf.filled().is_empty() {
                break;
            }
            self.lingered += buf.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}
