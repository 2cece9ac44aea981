//! The two engines. Each runs the same operations: SQLite on one writer thread, PostgreSQL on a pool.

pub(crate) mod postgres;
pub(crate) mod sqlite;
mod sqlite_checkpoint;
mod sqlite_journal;
mod sqlite_writer;

pub(crate) use sqlite_checkpoint::Checkpointer;
pub(crate) use sqlite_journal::{Appended, BACKLOG, Journal, unsettled};
pub(crate) use sqlite_writer::Writer;
