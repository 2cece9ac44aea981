//! What was asked for on the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::ground::Engine;

const USAGE: &str = "usage: scripts/faults kill|term|postgres|disk-full
    --store sqlite|postgres|both   (kill, term; both)
    --rounds N                     faults on each store (50)
    --rotations N                  rotations on each store, at least (20000)
    --workers N                    clients at once (24)
    --seed N                       the moments of the faults; printed, else taken from the clock
    --release                      the release build";

/// The kind of fault and its figures.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) kind: String,
    pub(crate) engines: Vec<Engine>,
    pub(crate) rounds: u64,
    pub(crate) rotations: u64,
    pub(crate) workers: usize,
    pub(crate) seed: u64,
    pub(crate) binary: PathBuf,
}

impl Options {
    pub(crate) fn read() -> Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let mut options = Self {
            kind: arguments.next().context(USAGE)?,
            engines: vec![Engine::Sqlite, Engine::Postgres],
            rounds: 50,
            rotations: 20_000,
            workers: 24,
            seed: seed_of_the_clock(),
            binary: binary("debug"),
        };
        while let Some(name) = arguments.next() {
            if name == "--release" {
                options.binary = binary("release");
                continue;
            }
            let value = arguments.next().context(USAGE)?;
            let number = || {
                value
                    .parse::<u64>()
                    .with_context(|| format!("{name} {value}: no number\n{USAGE}"))
            };
            match name.as_str() {
                "--store" => options.engines = engines(&value)?,
                "--rounds" => options.rounds = number()?.max(1),
                "--rotations" => options.rotations = number()?,
                "--workers" => options.workers = usize::try_from(number()?.clamp(1, 200))?,
                "--seed" => options.seed = number()?,
                _ => bail!(USAGE),
            }
        }
        Ok(options)
    }
}

fn engines(name: &str) -> Result<Vec<Engine>> {
    Ok(match name {
        "sqlite" => vec![Engine::Sqlite],
        "postgres" => vec![Engine::Postgres],
        "both" => vec![Engine::Sqlite, Engine::Postgres],
        _ => bail!(USAGE),
    })
}

fn binary(profile: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let built = target.join(profile).join("tokensmith");
    std::env::var_os("TOKENSMITH_BIN").map_or(built, PathBuf::from)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a seed for one run, printed so that it can be had again"
)]
fn seed_of_the_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs())
}
