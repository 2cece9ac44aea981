//! One connection in one task: the HTTP parser, one timer for all its time limits, and the signals
//! of shutdown. The timer is moved only when a deadline comes nearer, not at every request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;

use super::request::Requests;
use super::watch::{Phase, Watch, instant, now};
use super::wire::Wire;
use super::{Edge, Stage};

pub(super) struct Connection {
    http: Pin<Box<http1::Connection<TokioIo<Wire>, Requests>>>,
    timer: Pin<Box<Sleep>>,
    /// The deadline the timer is set to, and whether it knows this task.
    armed: u64,
    registered: bool,
    signal: Pin<Box<OwnedNotified>>,
    /// The last signal obeyed; `None` before the first poll.
    epoch: Option<u64>,
    watch: Arc<Watch>,
    edge: Arc<Edge>,
}

impl Connection {
    pub(super) fn new(
        http: http1::Connection<TokioIo<Wire>, Requests>,
        watch: Arc<Watch>,
        edge: Arc<Edge>,
    ) -> Self {
        let armed = watch.deadline(&edge);
        Self {
            http: Box::pin(http),
            timer: Box::pin(tokio::time::sleep_until(instant(armed))),
            armed,
            registered: false,
            signal: Box::pin(edge.signal.clone().notified_owned()),
            epoch: None,
            watch,
            edge,
        }
    }

    /// Whether a signal of the server ends this connection now.
    fn obey_signals(&mut self, cx: &mut Context<'_>) -> bool {
        if self.epoch == Some(self.edge.epoch()) {
            return false;
        }
        // Listen again before looking: a signal sent in between is found by one or the other.
        self.signal.set(self.edge.signal.clone().notified_owned());
        if poll_in_full(self.signal.as_mut(), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.epoch = Some(self.edge.epoch());
        self.must_end()
    }

    fn must_end(&mut self) -> bool {
        let is_idle = self.watch.phase() == Phase::Idle;
        match self.edge.stage() {
            Stage::Serving => is_idle && self.edge.takes_back(self.watch.since()),
            Stage::Notice => false,
            Stage::Closing => {
                self.http.as_mut().graceful_shutdown();
                is_idle
            }
            Stage::Ended => true,
        }
    }

    /// Whether a time limit ends this connection now.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let deadline = self.watch.deadline(&self.edge);
            if deadline < self.armed {
                self.arm(deadline);
            }
            if self.registered && !self.timer.is_elapsed() {
                return false;
            }
            self.registered = true;
            if poll_in_full(self.timer.as_mut(), cx).is_pending() {
                return false;
            }
            if deadline > now() {
                self.arm(deadline);
                continue;
            }
            if self.watch.phase() != Phase::Request || self.watch.expired.swap(true, Relaxed) {
                return true;
            }
            // The request gets the time it had once more, to say that it took too long.
            self.watch.enter(Phase::Request);
            cx.waker().wake_by_ref();
        }
    }

    fn arm(&mut self, deadline: u64) {
        self.armed = deadline;
        self.registered = false;
        self.timer.as_mut().reset(instant(deadline));
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Poll::Ready(result) = this.http.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::trace!(target: "tokensmith::listen", error = &error as &dyn std::error::Error, "connection ended");
            }
            return Poll::Ready(());
        }
        if this.obey_signals(cx) || this.keep_time(cx) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Polls past the cooperative budget of the task. A timer or signal that is put off for want of
/// budget has not noted the task, and nobody would wake it when the time comes.
fn poll_in_full<F: Future>(mut future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    let polled = std::future::poll_fn(|cx| future.as_mut().poll(cx));
    Pin::new(&mut tokio::task::unconstrained(polled)).poll(cx)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use tokio::task::coop::{consume_budget, has_budget_remaining};

    use super::*;

    #[tokio::test]
    async fn a_timer_is_set_although_the_budget_of_the_task_is_spent() {
        let mut timer = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
        let mut is_set = false;
        let fired = std::future::poll_fn(|cx| {
            if !std::mem::replace(&mut is_set, true) {
                while has_budget_remaining() {
                    let _ = pin!(consume_budget()).poll(cx);
                }
                return poll_in_full(timer.as_mut(), cx);
            }
            if timer.is_elapsed() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        assert!(
            tokio::time::timeout(Duration::from_secs(2), fired)
                .await
                .is_ok()
        );
    }
}
