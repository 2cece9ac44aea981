//! Rows of the ratio table: one JSON file each under `bench/results`, and the table made of all of them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One measured row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The least a program could do, in the row's unit; empty where the bound is absolute.
    pub(crate) limit: String,
    /// Ours, in the same unit.
    pub(crate) ours: String,
    /// Ours to the limit; empty where the bound is absolute.
    pub(crate) ratio: String,
    /// What it must hold.
    pub(crate) bound: String,
    /// Whether it holds.
    pub(crate) holds: bool,
}

const BEGIN: &str = "<!-- table: scripts/bench --write -->\n";
const END: &str = "<!-- end of table -->";

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results"))
}

impl Row {
    /// Keeps the row for the table.
    pub(crate) fn keep(&self, name: &str) -> Result<()> {
        fs::create_dir_all(folder())?;
        fs::write(
            folder().join(format!("{name}.json")),
            serde_json::to_string_pretty(self)? + "\n",
        )?;
        Ok(())
    }
}

/// The table of the rows kept so far, in the order of `names`.
pub(crate) fn markdown(names: &[&str]) -> String {
    let mut table = String::from(
        "| what | limit | ours | ratio | bound | holds |\n|---|---|---|---|---|---|\n",
    );
    for name in names {
        let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap_or_default();
        let Ok(row) = serde_json::from_str::<Row>(&text) else {
            continue;
        };
        let holds = if row.holds { "yes" } else { "**no**" };
        table += &format!(
            "| {} | {} | {} | {} | {} | {holds} |\n",
            row.what, row.limit, row.ours, row.ratio, row.bound
        );
    }
    table
}

/// Puts the table and the machine into docs/performance.md.
pub(crate) fn write(table: &str) -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
    let text = fs::read_to_string(path).context("reading docs/performance.md")?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("docs/performance.md has no place for the table")?;
    let (_, after) = rest
        .split_once(END)
        .context("docs/performance.md has no end of the table")?;
    fs::write(
        path,
        format!(
            "{before}{BEGIN}\nMeasured on {}.\n\n{table}\n{END}{after}",
            machine()
        ),
    )?;
    Ok(())
}

/// The share of the machine that other programs use just now: above a few hundredths every figure is rough.
pub(crate) fn busy() -> Result<f64> {
    let before = jiffies()?;
    std::thread::sleep(Duration::from_secs(1));
    let after = jiffies()?;
    Ok(1.0 - (after.0 - before.0) / (after.1 - before.1))
}

/// Idle and all time of all cores so far.
fn jiffies() -> Result<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let idle = fields.iter().skip(3).take(2).sum();
    Ok((idle, fields.iter().sum()))
}

/// Processor, cores and kernel.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": an unnamed processor");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{} ({cores} cores), Linux {}",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim()
    )
}
