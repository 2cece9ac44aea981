//! Checks that the house stands as ARCHITECTURE.md and STYLE.md say: arrows between crates, features that keep to
//! themselves, sizes, unused dependencies, lints in every crate, no path of one machine in the tree.
//! Reads `cargo metadata` and the files git tracks; changes nothing. Function length and parameter counts are clippy's.

mod arrows;
mod dependencies;
mod features;
mod public_items;
mod tree;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// One rule: its name, and what it found.
struct Finding {
    rule: &'static str,
    broken: Vec<String>,
    note: String,
}

fn main() -> Result<ExitCode> {
    let metadata = metadata()?;
    let files = tree::Files::tracked()?;
    let findings = [
        arrows::check(&metadata)?,
        features::check(&files)?,
        dependencies::check(&metadata, &files)?,
        public_items::check(&files)?,
        tree::sizes(&files),
        tree::lints(&files),
        tree::machine_paths(&files),
    ];
    for finding in &findings {
        print(finding);
    }
    let is_sound = findings.iter().all(|finding| finding.broken.is_empty());
    Ok(if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(finding: &Finding) {
    let verdict = if finding.broken.is_empty() {
        "ok  "
    } else {
        "FAIL"
    };
    println!("{verdict} {:<24} {}", finding.rule, finding.note);
    for line in &finding.broken {
        println!("       {line}");
    }
}

fn metadata() -> Result<Value> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()
        .context("running cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The packages of the workspace.
fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}
