//! Signs checkpoints of the audit log: after so many lines, or a while after the last line that has none.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokensmith_store::ChainHead;

use super::Job;
use crate::audit;

const SPAN: Duration = Duration::from_secs(5);
/// The longest that a line waits for a checkpoint while the server runs.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

pub(super) async fn make(job: Job) {
    let every = i64::from(job.app.config().audit.checkpoint_every.get());
    // Per stream: where its last checkpoint was, and when. Only this task touches it.
    let seen = parking_lot::Mutex::new(HashMap::new());
    job.every(SPAN, async || {
        let mut due = job.app.store().heads_without_checkpoint().await?;
        due.retain(|head| is_due(&mut seen.lock(), head, every));
        if due.is_empty() || !job.is_ours(SPAN).await? {
            return Ok(());
        }
        for head in due {
            let (stream, seq) = (head.stream, head.seq);
            audit::checkpoint(&job.app, head).await?;
            seen.lock().insert(stream, (seq, Instant::now()));
        }
        Ok(())
    })
    .await;
}

/// A stream is first seen without a checkpoint of ours: its time begins to run then.
fn is_due(seen: &mut HashMap<i64, (i64, Instant)>, head: &ChainHead, every: i64) -> bool {
    let (seq, at) = seen
        .entry(head.stream)
        .or_insert_with(|| (head.seq, Instant::now()));
    head.seq.saturating_sub(*seq) >= every || at.elapsed() >= LONGEST_WAIT
}
