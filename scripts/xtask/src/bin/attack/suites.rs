//! Runs the tests that play rows and reads their results.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Ground, rows};

/// Tests wait more than they compute: for a change to arrive, for a limit to pass.
const THREADS: &str = "--test-threads=6";
/// Rounds of the random requests; `scripts/test` sends many more to the same routes.
const RANDOM_ROUNDS: &str = "4";

/// A test program and what it plays against.
struct Suite {
    package: &'static str,
    /// What answers: a program over HTTP, or a library.
    against: &'static str,
    /// Whether the run's report must hold a line for each of its tests.
    reports: bool,
}

const SUITES: [Suite; 5] = [
    Suite {
        package: "tokensmith-server",
        against: "program",
        reports: true,
    },
    Suite {
        package: "tokensmith",
        against: "program",
        reports: false,
    },
    Suite {
        package: "chat",
        against: "program",
        reports: false,
    },
    Suite {
        package: "tokensmith-resource-server",
        against: "library",
        reports: false,
    },
    Suite {
        package: "tokensmith-client",
        against: "library",
        reports: false,
    },
];

/// A test that was run.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) test: String,
    pub(crate) rows: Vec<String>,
    pub(crate) against: &'static str,
    pub(crate) passed: bool,
    /// What its servers told of themselves; `None` where nothing needs telling.
    pub(crate) servers: Option<Vec<Value>>,
}

impl Played {
    /// Something was accepted where something else was refused, so that the refusal means the attack.
    pub(crate) fn has_control(&self) -> bool {
        let servers = self.servers.as_ref();
        servers.is_none_or(|servers| servers.iter().any(|server| server["control"] == true))
    }
}

/// Builds and runs every suite.
pub(crate) fn play(ground: &Ground, wanted: &[String]) -> Result<Vec<Played>> {
    let programs = programs()?;
    let mut played = Vec::new();
    for suite in &SUITES {
        println!("── rows of {}", suite.package);
        let program = programs.get(suite.package);
        let program = program.with_context(|| format!("{} has no tests", suite.package))?;
        played.extend(suite.run(program, ground, wanted)?);
    }
    let servers = servers(ground)?;
    for test in &mut played {
        if let Some(told) = &mut test.servers {
            told.extend(servers.get(&test.test).cloned().unwrap_or_default());
        }
    }
    Ok(played)
}

/// A test program of cargo's, and the folder that cargo would run it in.
struct Program {
    executable: PathBuf,
    folder: PathBuf,
}

/// The test programs called `it`, by package. All packages at once, as `scripts/build` builds them: one alone would be
/// built again, with fewer features of what they share.
fn programs() -> Result<BTreeMap<String, Program>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["test", "--locked", "--quiet", "--workspace", "--test", "it"])
        .args(["--no-run", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    ensure!(built.status.success(), "the tests do not build");
    let lines = String::from_utf8(built.stdout)?;
    let mut programs = BTreeMap::new();
    for line in lines.lines() {
        let message: Value = serde_json::from_str(line).context("a message of cargo's")?;
        if let (Some(executable), Some(manifest)) = (
            message["executable"].as_str(),
            message["manifest_path"].as_str(),
        ) && message["target"]["name"] == "it"
        {
            let folder = Path::new(manifest).parent().context("a manifest")?;
            let program = Program {
                executable: executable.into(),
                folder: folder.into(),
            };
            programs.insert(package(folder)?, program);
        }
    }
    Ok(programs)
}

/// The name in a package's manifest.
fn package(folder: &Path) -> Result<String> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml"))?;
    let name = manifest
        .lines()
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    Ok(name.context("a package has a name")?.to_owned())
}

impl Suite {
    fn run(&self, program: &Program, ground: &Ground, wanted: &[String]) -> Result<Vec<Played>> {
        let mut command = Command::new(&program.executable);
        command.current_dir(&program.folder);
        match wanted {
            [] => command.arg("row_"),
            rows => command.args(rows.iter().map(|row| format!("row_{row}"))),
        };
        command.args(["--format=pretty", THREADS]);
        if self.reports {
            command
                .env("TOKENSMITH_TEST_BINARY", &ground.binary)
                .env("TOKENSMITH_TEST_CLOCK", &ground.clock)
                .env("TOKENSMITH_TEST_REPORT", &ground.report)
                .env("TOKENSMITH_RANDOM_ROUNDS", RANDOM_ROUNDS);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the tests")?;
        let output = child.stdout.take().context("cargo has an output")?;
        let (mut played, mut ended) = (Vec::new(), false);
        for line in BufReader::new(output).lines() {
            let line = line?;
            ended |= line.starts_with("test result:");
            let result = self.result(&line);
            if result.as_ref().is_none_or(|test| !test.passed) && !line.is_empty() {
                println!("{line}");
            }
            played.extend(result);
        }
        let status = child.wait()?;
        ensure!(
            ended,
            "the tests of {} did not run ({status})",
            self.package
        );
        Ok(played)
    }

    /// A line such as `test input::row_292_a_large_body ... ok`.
    fn result(&self, line: &str) -> Option<Played> {
        let (test, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let rows = rows::named_by(test)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let passed = verdict == "ok";
        (passed || verdict == "FAILED").then(|| Played {
            test: test.to_owned(),
            rows,
            against: self.against,
            passed,
            servers: self.reports.then(Vec::new),
        })
    }
}

/// What every process told of itself, by test.
fn servers(ground: &Ground) -> Result<BTreeMap<String, Vec<Value>>> {
    let text = std::fs::read_to_string(ground.report.join("servers.jsonl")).unwrap_or_default();
    let mut servers: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let server: Value = serde_json::from_str(line).context("servers.jsonl")?;
        let test = server["test"].as_str().unwrap_or_default().to_owned();
        servers.entry(test).or_default().push(server);
    }
    Ok(servers)
}
