//! The two bodies at the edge: the request's, bounded while it is read, and the answer's, whose end
//! is the end of the request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::Limited;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::Edge;
use super::watch::{Phase, Watch};

/// A request body that ends with `LengthLimitError` (an extractor's 413) past the limit.
pub(super) struct Upload {
    incoming: Limited<Incoming>,
    watch: Arc<Watch>,
}

impl Upload {
    pub(super) fn body(incoming: Incoming, limit: usize, watch: &Arc<Watch>) -> Body {
        if incoming.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            incoming: Limited::new(incoming, limit),
            watch: watch.clone(),
        })
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        let ended = frame.is_none() || self.incoming.is_end_stream();
        if ended {
            self.watch.body_pending.store(false, Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The body of an answer. When it is dropped the connection is idle and the request done.
pub(super) struct Sent {
    body: Body,
    edge: Arc<Edge>,
    watch: Arc<Watch>,
}

impl Sent {
    pub(super) fn new(body: Body, edge: Arc<Edge>, watch: Arc<Watch>) -> Self {
        Self { body, edge, watch }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.edge.end_request();
        // The time of the answer, or of its last write, is kept: reading the clock is not free.
        self.watch.go_on(Phase::Idle);
    }
}
