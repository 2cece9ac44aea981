//! What one connection is doing and since when. The socket, the request at work and the timer of the
//! connection all run in one task and share this, so relaxed atomics are enough and nothing locks.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Edge;

/// All times of the listener count from here.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the listener was first used.
pub(super) fn now() -> u64 {
    nanos(START.elapsed())
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

pub(super) fn instant(nanos: u64) -> tokio::time::Instant {
    (*START + Duration::from_nanos(nanos)).into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// New, or part of a header has arrived.
    Head,
    /// Between two requests.
    Idle,
    /// A request is at work; its body may still be arriving.
    Request,
    /// An answer is being sent.
    Answer,
    /// The answer is out; late bytes of the request are thrown away.
    Linger,
}

const PHASES: [Phase; 5] = [
    Phase::Head,
    Phase::Idle,
    Phase::Request,
    Phase::Answer,
    Phase::Linger,
];

/// How long late bytes of a refused request are taken, so that the client can read the answer.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watch {
    phase: AtomicU8,
    since: AtomicU64,
    /// The request at work has run out of time.
    pub(super) expired: AtomicBool,
    /// The header at hand names `Content-Length`.
    pub(super) names_length: AtomicBool,
    /// The header at hand began and so far came with one read, at `since`.
    pub(super) one_read: AtomicBool,
    /// An answer of ours has not left yet, so what is written next is not the parser's own.
    pub(super) unsent: AtomicBool,
    /// The body of the request at work has not been read to its end.
    pub(super) body_pending: AtomicBool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(now()),
            expired: AtomicBool::new(false),
            names_length: AtomicBool::new(false),
            one_read: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
            body_pending: AtomicBool::new(false),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Relaxed))]
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.enter_at(phase, now());
    }

    pub(super) fn enter_at(&self, phase: Phase, now: u64) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(now, Relaxed);
    }

    /// A request begins, now or at the read that brought it whole. Answers with that moment.
    pub(super) fn begin_request(&self) -> u64 {
        let came_whole = self.phase() == Phase::Head && self.one_read.load(Relaxed);
        let started = if came_whole { self.since() } else { now() };
        self.enter_at(Phase::Request, started);
        started
    }

    /// Goes on to a phase that began when the last one did.
    pub(super) fn go_on(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// The moment past which the present phase has lasted too long.
    pub(super) fn deadline(&self, edge: &Edge) -> u64 {
        let allowed = match self.phase() {
            Phase::Head => edge.times.header_read,
            Phase::Idle => edge.times.idle,
            Phase::Request | Phase::Answer => edge.times.request,
            Phase::Linger => nanos(LINGER),
        };
        self.since.load(Relaxed).saturating_add(allowed)
    }

    pub(super) fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }
}
