//! The store under many callers, each waiting for its answer before it writes again: what the limit engine is compared with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokensmith_store::{AuditContext, ChangeClient, ClientChange, Options, Store, Target};

use crate::subject::{self, client, client_id};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Database file; made anew.
    #[arg(long)]
    file: PathBuf,
    /// Callers at once.
    #[arg(long, default_value_t = 32)]
    callers: u32,
    /// Seconds to run.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}
