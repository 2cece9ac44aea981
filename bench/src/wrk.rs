//! The load: wrk on a core of its own, one form again and again, over kept connections to 127.0.0.1.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The load's core; the servers have the other.
const CORE: &str = "1";

pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) path: &'static str,
    pub(crate) body: String,
    /// A file of tokens, one a line, that take the place of `@TOKEN@`, and after them their successors. More than
    /// connections.
    pub(crate) tokens: Option<PathBuf>,
    /// A file that takes every access token of the answers.
    pub(crate) collect: Option<PathBuf>,
    /// How many client numbers take the place of `@CLIENT@`; 0 for a fixed body.
    pub(crate) clients: u32,
    pub(crate) connections: u32,
}

/// What one run of wrk saw.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    refused: u64,
    broken: u64,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

impl Load {
    /// Loads the endpoint for so many seconds; every answer must be 2xx.
    pub(crate) fn run(&self, seconds: u32) -> Result<Run> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/post.lua");
        let url = format!("http://127.0.0.1:{}{}", self.port, self.path);
        let (connections, duration) = (self.connections.to_string(), format!("{seconds}s"));
        let mut command = Command::new("taskset");
        command.args([
            "-c",
            CORE,
            "wrk",
            "--latency",
            "-t",
            "1",
            "-c",
            &connections,
            "-d",
            &duration,
            "-s",
            script,
            &url,
        ]);
        command
            .env("BENCH_BODY", &self.body)
            .env("BENCH_CLIENTS", self.clients.to_string());
        if let Some(tokens) = &self.tokens {
            command.env("BENCH_TOKENS", tokens);
        }
        if let Some(collect) = &self.collect {
            command.env("BENCH_COLLECT", collect);
        }
        let output = command.output().context("running wrk")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let line = printed.lines().find_map(|line| line.strip_prefix("JSON"));
        let line = line.with_context(|| {
            format!(
                "wrk said: {printed}{}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        let run: Run = serde_json::from_str(line)?;
        ensure!(
            run.refused == 0,
            "{} of {} answers were not 2xx",
            run.refused,
            run.requests
        );
        ensure!(run.broken == 0, "{} connections broke", run.broken);
        Ok(run)
    }
}
