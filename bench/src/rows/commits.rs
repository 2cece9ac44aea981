//! Durable units of work a second: the store under 32 callers against SQLite alone in batches of 32, both on one core,
//! both fsynced before anybody is answered, each on a fresh file in turns. No bound: the store also chains and hashes its
//! audit lines, keeps a savepoint a caller and wakes the callers, which the bare loop does not.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tokensmith_xtask::process::Scratch;

use super::Effort;
use crate::table::Row;
use crate::turns;

pub(crate) fn measure(effort: Effort) -> Result<Row> {
    let scratch = Scratch::new("bench-commits")?;
    let mut turn = 0;
    let mut rate = |program: &str| -> Result<f64> {
        turn += 1;
        printed_rate(
            program,
            &scratch.path(&format!("{turn}.db")),
            effort.seconds,
        )
    };
    let rates: Vec<(f64, f64)> = (0..effort.rounds)
        .map(|_| Ok((rate("limit-engine")?, rate("store-commits")?)))
        .collect::<Result<_>>()?;
    let turns = turns::of(&rates);
    Ok(Row {
        what: "durable units of work (1 update, 1 audit line), 32 callers".into(),
        limit: format!("{:.0}/s", turns.limit),
        ours: format!("{:.0}/s", turns.ours),
        ratio: format!("{:.1} %", turns.ratio * 100.0),
        bound: String::new(),
        holds: true,
    })
}

/// Runs one of our own subcommands on the servers' core and reads the rate it prints.
fn printed_rate(program: &str, file: &Path, seconds: u32) -> Result<f64> {
    let output = Command::new("taskset")
        .args(["-c", "0"])
        .arg(std::env::current_exe()?)
        .args([program, "--seconds", &seconds.to_string(), "--file"])
        .arg(file)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().with_context(|| {
        format!(
            "{program}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}
