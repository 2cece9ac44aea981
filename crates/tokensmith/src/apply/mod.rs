//! `tokensmith apply`: the registry from declarative files. It shows what would change before it changes anything, finds
//! every problem at once with file and line, and writes all of it in one transaction or nothing.

mod export;
mod file;
mod plan;
mod secret;
mod show;

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::Args;
use tokensmith_server::registry::{self, Step, WriteRefusal};

use crate::data::{Data, Place};

/// Changes are pending: the exit code of a dry run, for a pipeline to look at.
const PENDING: u8 = 3;

/// Make clients, resources, scopes, permissions, roles and trusted issuers what files say, after showing the difference.
///
/// Ends with 0 when nothing differs or everything is written, with 3 when a dry run found differences, and with 1 when
/// a file has problems or nothing could be written.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A file in TOML; may be repeated, they are read as one
    #[arg(
        short,
        long = "file",
        value_name = "FILE",
        required_unless_present = "export"
    )]
    files: Vec<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove what the files do not name, of the kinds they speak of
    #[arg(long)]
    prune: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the difference as a JSON array
    #[arg(long)]
    json: bool,
    /// Print the registry as a file instead. Secrets are left out: clients that are there keep theirs
    #[arg(long, conflicts_with_all = ["files", "dry_run", "prune", "yes", "json"])]
    export: bool,
    /// With --export: hashes of secrets, too, so that the file can make the clients anew elsewhere. Keep it safe
    #[arg(long, requires = "export")]
    with_hashes: bool,
    #[command(flatten)]
    place: Place,
}

impl Apply {
    pub(crate) fn run(self) -> Result<ExitCode> {
        self.place.run(async |data| {
            if self.export {
                return export::export(data, self.with_hashes).await;
            }
            self.apply(data).await
        })
    }

    async fn apply(&self, data: &Data) -> Result<ExitCode> {
        let wanted = file::read_all(&self.files);
        let steps = match wanted {
            Ok(wanted) => plan::steps(data, wanted, self.prune).await?,
            Err(problems) => Err(problems),
        };
        let steps = match steps {
            Ok(steps) => steps,
            Err(problems) => return refuse(&problems),
        };
        show::show(&steps, self.json)?;
        if steps.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if self.dry_run {
            return Ok(ExitCode::from(PENDING));
        }
        if !self.yes && !confirmed()? {
            bail!("nothing was changed");
        }
        write(data, steps).await
    }
}

fn refuse(problems: &[file::Problem]) -> Result<ExitCode> {
    for problem in problems {
        eprintln!("{problem}");
    }
    bail!("{} problems; nothing was changed", problems.len());
}

fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to be asked: say --yes to apply, or --dry-run to look");
    }
    eprint!("Apply these changes? [y/N] ");
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

async fn write(data: &Data, steps: Vec<Step>) -> Result<ExitCode> {
    let number = steps.len();
    match registry::write(&data.store, &data.config, steps, data.context()).await? {
        Ok(()) => {
            eprintln!("{number} changes are written");
            Ok(ExitCode::SUCCESS)
        }
        Err(WriteRefusal::ChangedMeanwhile(records)) => {
            bail!(
                "changed by somebody else meanwhile: {}; nothing was changed",
                records.join(", ")
            )
        }
        Err(WriteRefusal::Contradicts(sentences)) => {
            for sentence in &sentences {
                eprintln!("{sentence}");
            }
            bail!("{} problems; nothing was changed", sentences.len());
        }
    }
}
