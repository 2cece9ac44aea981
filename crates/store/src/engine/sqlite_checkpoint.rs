//! Moves SQLite's write-ahead log into the database file on a thread of its own, so that no commit waits for it.
//!
//! PASSIVE alone never resets a log that is always being written (hundreds of MiB were seen), so past a limit the
//! short rest is moved with RESTART, for which the writer waits.

use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
};

use rusqlite::Connection;

use crate::StoreError;

/// Frames of 4 KiB in the log above which the writer is made to wait for a restart: 64 MiB.
const RESTART_ABOVE_FRAMES: i64 = 16_000;

/// Asks the checkpoint thread for work. The thread ends when this is dropped.
pub(crate) struct Checkpointer {
    nudge: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(std::time::Duration::from_millis(100))?;
        let (nudge, nudges) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("sqlite-checkpoint".into())
            .spawn(move || {
                while nudges.recv().is_ok() {
                    if let Err(error) = checkpoint(&connection) {
                        tracing::warn!(error = %error, "a checkpoint of the database log failed; it will be retried");
                    }
                }
            })
            .map_err(StoreError::unavailable)?;
        Ok(Self {
            nudge: Some(nudge),
            thread: Some(thread),
        })
    }

    /// One nudge may wait; more say nothing new.
    pub(crate) fn nudge(&self) {
        if let Some(nudge) = &self.nudge {
            let _ = nudge.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.nudge = None;
        // Waited for, so that nobody holds the file once the store is dropped.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn checkpoint(connection: &Connection) -> Result<(), StoreError> {
    let frames = run(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    if frames > RESTART_ABOVE_FRAMES {
        run(connection, "PRAGMA wal_checkpoint(RESTART)")?;
    }
    metrics::gauge!("tokensmith_store_wal_frames").set(frames as f64);
    Ok(())
}

fn run(connection: &Connection, pragma: &str) -> Result<i64, StoreError> {
    connection
        .query_row(pragma, [], |row| row.get(1))
        .map_err(StoreError::from)
}
