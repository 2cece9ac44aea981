//! The one thread that writes to SQLite. It drains its queue into one commit (group commit), keeps each operation
//! whole or not at all, and answers callers only after that commit is as durable as the strictest of them needs.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    task::{Context, Poll, Waker},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    Durability, Operation, StoreError, Tx,
    audit::{self, AuditLine, ChainHead},
    engine::{
        sqlite_checkpoint::Checkpointer,
        sqlite_journal::{Journal, Mark},
    },
    tx::TxEngine,
};

/// Operations that may wait for the writer. One more is refused, so a slow disk never grows memory.
const QUEUE: usize = 4096;
/// Operations that share one commit at most: bounds the wait of the first.
const BATCH: usize = 256;
/// The part of a commit's time that the writer waits for callers to join the next one.
const PATIENCE: u32 = 4;
/// The longest such wait.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);
/// How long lines of the audit journal wait for others before they are moved into the chain.
const JOURNAL_DELAY: Duration = Duration::from_millis(5);
/// How soon a move that failed is tried again.
const JOURNAL_RETRY: Duration = Duration::from_millis(200);
/// Operations after which the checkpointer is asked to move the WAL into the database file.
const CHECKPOINT_EVERY: usize = 8000;

/// The handle of the writer thread. Dropping it lets the thread finish its queue and waits for it.
pub(crate) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        checkpointer: Checkpointer,
        journal: Arc<Journal>,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let state = WriterState::new(connection, checkpointer, journal)?;
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || state.run(&jobs))
            .map_err(StoreError::unavailable)?;
        Ok(Self {
            queue: Some(queue),
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let job = Box::new(Queued {
            operation,
            answer,
            outcome: None,
        });
        self.send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::unavailable("the writer's queue is full"),
            TrySendError::Disconnected(_) => StoreError::unavailable("the writer has stopped"),
        })?;
        outcome
            .await
            .map_err(|_| StoreError::unavailable("the writer has stopped"))?
    }

    /// Says that the audit journal has lines again.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub(crate) fn nudge(&self) -> Result<(), StoreError> {
        match self.send(Box::new(JournalGrew)) {
            // With a full queue the writer soon looks anyway: it does so at every commit.
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Disconnected(_)) => {
                Err(StoreError::unavailable("the writer has stopped"))
            }
        }
    }

    fn send(&self, job: Box<dyn Job>) -> Result<(), TrySendError<Box<dyn Job>>> {
        match &self.queue {
            Some(queue) => queue.try_send(job),
            None => Err(TrySendError::Disconnected(job)),
        }
    }

    /// Whether there is anybody left to write.
    pub(crate) fn is_running(&self) -> bool {
        let thread = self.thread.lock();
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub(crate) fn close(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.lock().take() {
            // A panic there was already logged by the panic hook; closing goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// An operation in the queue, whatever its type.
trait Job: Send {
    fn durability(&self) -> Durability;
    /// Runs the operation and says whether what it did is kept.
    fn run(&mut self, writer: &mut WriterState) -> bool;
    fn answer(self: Box<Self>, commit: Result<(), &str>);
    /// Whether it is only a hint that nobody waits for.
    fn is_hint(&self) -> bool {
        false
    }
}

/// The audit journal has lines. They are moved with every commit, so there is nothing to run.
struct JournalGrew;

impl Job for JournalGrew {
    fn durability(&self) -> Durability {
        Durability::CrashSafe
    }

    fn run(&mut self, _: &mut WriterState) -> bool {
        true
    }

    fn answer(self: Box<Self>, _: Result<(), &str>) {}

    fn is_hint(&self) -> bool {
        true
    }
}

struct Queued<O: Operation> {
    operation: O,
    outcome: Option<Result<O::Outcome, StoreError>>,
    answer: oneshot::Sender<Result<O::Outcome, StoreError>>,
}

impl<O: Operation> Job for Queued<O> {
    fn durability(&self) -> Durability {
        self.operation.durability()
    }

    fn run(&mut self, writer: &mut WriterState) -> bool {
        let operation = std::panic::AssertUnwindSafe(|| writer.run_operation(&self.operation));
        let outcome = std::panic::catch_unwind(operation)
            .unwrap_or_else(|_| Err(StoreError::corrupt("the operation panicked")));
        let is_kept = outcome.is_ok();
        self.outcome = Some(outcome);
        is_kept
    }

    fn answer(self: Box<Self>, commit: Result<(), &str>) {
        let outcome = match commit {
            Ok(()) => self
                .outcome
                .unwrap_or_else(|| Err(StoreError::unavailable("the operation did not run"))),
            Err(reason) => Err(StoreError::unavailable(reason)),
        };
        // The caller may have gone away; what it asked for has happened all the same.
        let _ = self.answer.send(outcome);
    }
}

/// Decides which operations share a commit.
///
/// Callers that were just answered tend to come back at once. Taking only those that are there already would split
/// them into two halves that wait for each other's commits for ever, so the writer waits until as many are there as
/// it has lately seen, but never longer than a part of what a commit takes (docs/decisions/0003).
#[derive(Default)]
struct Gathering {
    next: Vec<Box<dyn Job>>,
    expected: usize,
    patience: Duration,
}

impl Gathering {
    /// Waits for an operation, and a moment for others; `None` once nobody can send any more. Empty when only the
    /// journal has something, or after `idle`.
    fn next_batch(
        &mut self,
        jobs: &Receiver<Box<dyn Job>>,
        idle: Option<Duration>,
    ) -> Option<Vec<Box<dyn Job>>> {
        let mut batch = std::mem::take(&mut self.next);
        if batch.is_empty() {
            match idle {
                Some(idle) => batch.extend(until(Instant::now() + idle, jobs)?),
                None => batch.push(jobs.recv().ok()?),
            }
        }
        if batch.iter().all(|job| job.is_hint()) {
            batch.extend(until(Instant::now() + JOURNAL_DELAY, jobs)?);
        }
        batch.extend(jobs.try_iter().take(BATCH - batch.len()));
        let begun = Instant::now();
        while batch.len() < self.expected && begun.elapsed() < self.patience {
            std::thread::yield_now();
            batch.extend(jobs.try_iter().take(BATCH - batch.len()));
        }
        batch.retain(|job| !job.is_hint());
        Some(batch)
    }

    /// Called before the callers are answered: who waits by then is not one of them.
    fn committed(&mut self, answered: usize, span: Duration, jobs: &Receiver<Box<dyn Job>>) {
        self.next = jobs.try_iter().take(BATCH).collect();
        self.expected = (answered + self.next.len()).min(BATCH);
        self.patience = (span / PATIENCE).min(LONGEST_PATIENCE);
    }
}

/// The first operation before the deadline; `None` once nobody can send any more.
fn until(deadline: Instant, jobs: &Receiver<Box<dyn Job>>) -> Option<Option<Box<dyn Job>>> {
    loop {
        match jobs.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(job) if job.is_hint() => {}
            Ok(job) => return Some(Some(job)),
            Err(RecvTimeoutError::Timeout) => return Some(None),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// A way to run the operations of a batch. `false`: they must be run in another way.
type RunBatch = fn(&mut WriterState, &mut [Box<dyn Job>]) -> Result<bool, StoreError>;

struct WriterState {
    connection: Connection,
    synchronous: Durability,
    head: ChainHead,
    data_version: i64,
    journal: Arc<Journal>,
    /// Lines taken from the journal that are not committed yet.
    draining: Option<(Vec<AuditLine>, Mark)>,
    checkpointer: Checkpointer,
    since_checkpoint: usize,
    /// An fsync failed, after which the kernel may have dropped pages it could not write: nothing later written
    /// through this handle can be trusted to be whole, so nothing is.
    is_untrusted: bool,
}

impl WriterState {
    fn new(
        connection: Connection,
        checkpointer: Checkpointer,
        journal: Arc<Journal>,
    ) -> Result<Self, StoreError> {
        let mut state = Self {
            connection,
            synchronous: Durability::PowerSafe,
            head: ChainHead::genesis(0),
            data_version: -1,
            journal,
            draining: None,
            checkpointer,
            since_checkpoint: 0,
            is_untrusted: false,
        };
        state
            .connection
            .execute_batch("PRAGMA wal_autocheckpoint = 0;")?;
        state.follow_other_processes()?;
        Ok(state)
    }

    fn run(mut self, jobs: &Receiver<Box<dyn Job>>) {
        self.commit_batches(jobs);
        self.journal.refuse_more();
        if !self.is_untrusted {
            // What cannot be moved now is moved at the next start.
            let _ = self.commit(&mut []);
        }
        self.journal.close();
    }

    fn commit_batches(&mut self, jobs: &Receiver<Box<dyn Job>>) {
        let mut gathering = Gathering::default();
        while !self.is_untrusted
            && let Some(mut batch) =
                gathering.next_batch(jobs, self.draining.as_ref().map(|_| JOURNAL_RETRY))
        {
            metrics::histogram!("tokensmith_store_batch_operations").record(batch.len() as f64);
            let begun = Instant::now();
            let commit = self.commit(&mut batch).map_err(|error| error.to_string());
            gathering.committed(batch.len(), begun.elapsed(), jobs);
            self.since_checkpoint += batch.len();
            for job in batch {
                job.answer(commit.as_ref().copied().map_err(String::as_str));
            }
            if self.since_checkpoint >= CHECKPOINT_EVERY {
                self.since_checkpoint = 0;
                self.checkpointer.nudge();
            }
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let needed = batch.iter().map(|job| job.durability()).max();
        self.set_synchronous(needed.unwrap_or(Durability::CrashSafe))?;
        // A savepoint for each operation costs a seventh of the whole, and hardly ever does one fail. So they run
        // without, and only if one fails does the batch run again, each in a savepoint of its own.
        let done = match self.attempt(batch, Self::run_together) {
            Ok(true) => Ok(()),
            Ok(false) => self.attempt(batch, Self::run_apart).map(drop),
            Err(error) => Err(error),
        };
        done.inspect_err(|error| {
            tracing::error!(error = %error, operations = batch.len(), "a commit failed; nothing of it was kept");
            // On a full disk, moving the log into the database file makes its space good for use again.
            self.since_checkpoint = CHECKPOINT_EVERY;
        })
    }

    /// Runs a batch in one transaction and says whether it was committed; if not, nothing of it was kept.
    fn attempt(&mut self, batch: &mut [Box<dyn Job>], run: RunBatch) -> Result<bool, StoreError> {
        self.step("BEGIN IMMEDIATE")?;
        let committed = self.run_and_commit(batch, run);
        match committed {
            Ok(true) => self.drained(),
            _ => {
                let _ = self.step("ROLLBACK");
                self.data_version = -1;
            }
        }
        committed
    }

    fn run_and_commit(
        &mut self,
        batch: &mut [Box<dyn Job>],
        run: RunBatch,
    ) -> Result<bool, StoreError> {
        self.follow_other_processes()?;
        // Not earlier: after an attempt that was taken back the head in memory has lines that are nowhere else, and
        // as many lines as those would look like none.
        let before = self.head.seq;
        self.drain()?;
        if !run(self, batch)? {
            return Ok(false);
        }
        self.save_head(before)?;
        self.end_commit().map(|()| true)
    }

    /// Moves the journal's lines into the chain, before those of the operations that come after them.
    fn drain(&mut self) -> Result<(), StoreError> {
        if self.draining.is_none() {
            self.draining = self.journal.take();
        }
        let Some((lines, mark)) = &self.draining else {
            return Ok(());
        };
        for line in lines {
            self.head = audit::append_sqlite(&self.connection, &self.head, line)?;
        }
        mark.save(&self.connection)
    }

    fn drained(&mut self) {
        if let Some((lines, _)) = self.draining.take() {
            self.since_checkpoint += lines.len();
            self.journal.moved(lines.len());
        }
    }

    fn end_commit(&mut self) -> Result<(), StoreError> {
        use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
        let committed = self.connection.prepare_cached("COMMIT")?.raw_execute();
        let code = committed
            .as_ref()
            .err()
            .and_then(|error| error.sqlite_error());
        if let Some(SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC) =
            code.map(|code| code.extended_code)
        {
            tracing::error!(
                "an fsync of the database failed; it takes no more writes until the next start"
            );
            self.is_untrusted = true;
        }
        committed.map(drop).map_err(StoreError::from)
    }

    /// Stops at the first operation that fails.
    fn run_together(&mut self, batch: &mut [Box<dyn Job>]) -> Result<bool, StoreError> {
        Ok(batch.iter_mut().all(|job| job.run(self)))
    }

    /// Takes back what a failed operation did, and keeps the rest.
    fn run_apart(&mut self, batch: &mut [Box<dyn Job>]) -> Result<bool, StoreError> {
        for job in batch {
            let head = self.head.clone();
            self.step("SAVEPOINT operation")?;
            if !job.run(self) {
                self.head = head;
                self.step("ROLLBACK TO operation")?;
            }
            self.step("RELEASE operation")?;
        }
        Ok(true)
    }

    fn run_operation<O: Operation>(&mut self, operation: &O) -> Result<O::Outcome, StoreError> {
        let mut tx = Tx {
            engine: TxEngine::Sqlite(&mut self.connection),
            audit: Vec::new(),
        };
        let outcome = finish(operation.run(&mut tx))?;
        for line in std::mem::take(&mut tx.audit) {
            self.head = audit::append_sqlite(&self.connection, &self.head, &line)?;
        }
        Ok(outcome)
    }

    fn save_head(&self, before: i64) -> Result<(), StoreError> {
        if self.head.seq == before {
            return Ok(());
        }
        audit::save_head_sqlite(&self.connection, &self.head)
    }

    /// The command line may write to the same file: then the audit chain has grown behind our back.
    fn follow_other_processes(&mut self) -> Result<(), StoreError> {
        let version = self
            .connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if version != self.data_version {
            self.head = audit::load_head_sqlite(&self.connection)?;
            self.data_version = version;
        }
        Ok(())
    }

    fn set_synchronous(&mut self, needed: Durability) -> Result<(), StoreError> {
        if needed != self.synchronous {
            self.connection.execute_batch(match needed {
                Durability::PowerSafe => "PRAGMA synchronous = FULL",
                Durability::CrashSafe => "PRAGMA synchronous = NORMAL",
            })?;
            self.synchronous = needed;
        }
        Ok(())
    }

    fn step(&self, sql: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)?
            .raw_execute()
            .map(drop)
            .map_err(StoreError::from)
    }
}

/// Drives an operation that never waits: on SQLite every await is answered at once.
fn finish<T>(future: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(StoreError::corrupt(
            "an operation waited for something other than its transaction",
        )),
    }
}
