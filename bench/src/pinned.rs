//! A server on a core of its own, and what the kernel says it used: CPU time and resident memory.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tokensmith_xtask::http::Request;
use tokensmith_xtask::process::Server;

use crate::wrk::{Load, Run};

/// The core of every measured server; the load has the other.
const CORE: &str = "0";

pub(crate) struct Pinned {
    server: Server,
    /// From the start of the process to the first 2xx on the request it was started with.
    pub(crate) first_answer: Duration,
}

impl Pinned {
    /// Starts a program on the servers' core and waits for a 2xx on `first`.
    pub(crate) fn start<S: AsRef<OsStr>>(
        program: &Path,
        arguments: &[S],
        log: &Path,
        first: &Request,
    ) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(program).args(arguments);
        let mut server = Server::start(&mut command, log)?;
        let first_answer = server.wait_for(first)?;
        Ok(Self {
            server,
            first_answer,
        })
    }

    /// Runs a load and tells what it saw and the CPU time a request cost here, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    pub(crate) fn under(&self, load: &Load, seconds: u32) -> Result<(Run, f64)> {
        let before = self.cpu_time()?;
        let run = load.run(seconds)?;
        let used = self.cpu_time()?.saturating_sub(before);
        Ok((run, used.as_secs_f64() * 1e6 / run.requests as f64))
    }

    /// CPU time used so far, user and system.
    fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.server.pid()))?;
        let fields: Vec<&str> = stat
            .rsplit_once(") ")
            .context("stat")?
            .1
            .split(' ')
            .collect();
        let ticks: u64 = [11, 12]
            .iter()
            .filter_map(|at| fields.get(*at)?.parse::<u64>().ok())
            .sum();
        // A tick is 10 ms on every Linux that runs Rust.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Ends it and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.server.stop()
    }
}
