//! Plays every attack row whose endpoint exists against the built programs over HTTP, and prints passed, run and not
//! applicable by theme. The rows are tests named `row_NNN_…`; this builds and runs them with the program's path in the
//! environment, and judges what they leave behind. See docs/testing.md, "Attack rows".
//!
//! Fails when a row fails, when it was played without its control, and when its endpoint exists and no test names it.

mod absence;
mod report;
mod rows;
mod suites;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

fn main() -> ExitCode {
    match play() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("attack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every row that can be played was, and held.
fn play() -> Result<bool> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    ensure!(
        wanted
            .iter()
            .all(|row| row.len() == 3 && row.parse::<u16>().is_ok()),
        "usage: scripts/attack [ROW...], a row being three digits such as 078"
    );
    let folder = target().join("attack");
    let ground = Ground::prepare(&folder)?;
    let rows = rows::Row::read_all()?;
    let absent = absence::prove(&ground.binary)?;
    let played = suites::play(&ground, &wanted)?;
    let judged = report::judge(&rows, &absent, &played, &wanted);
    report::print(&judged);
    report::write(&folder.join("report.json"), &judged)?;
    println!("every row: {}", folder.join("report.json").display());
    Ok(judged.iter().all(report::Judged::is_well))
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    std::path::absolute(target.unwrap_or_else(|| "target".into()))
        .unwrap_or_else(|_| "target".into())
}

/// What the tests are given: the program, the clock it runs by, a folder for logs.
struct Ground {
    binary: PathBuf,
    clock: PathBuf,
    report: PathBuf,
}

impl Ground {
    fn prepare(folder: &Path) -> Result<Self> {
        let report = folder.join("run");
        let _ = std::fs::remove_dir_all(&report);
        std::fs::create_dir_all(&report).with_context(|| format!("making {}", report.display()))?;
        let binary = std::env::var_os("TOKENSMITH_BIN").map(PathBuf::from);
        let ground = Self {
            binary: binary.unwrap_or_else(|| target().join("debug/tokensmith")),
            clock: folder.join("clock.so"),
            report,
        };
        ensure!(
            ground.binary.exists(),
            "{} is not built",
            ground.binary.display()
        );
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(compiler)
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(&ground.clock)
            .arg("crates/testkit/clock/clock.c")
            .status()
            .context("running the C compiler")?;
        ensure!(
            compiled.success(),
            "crates/testkit/clock/clock.c does not compile"
        );
        Ok(ground)
    }
}
