//! `tokensmith passwords`: the file of breached passwords that a server looks into.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use tokensmith_oauth2::Secret;
use tokensmith_server::password::breached::{self, Breached};

use crate::secret_input;

/// What people may not choose.
#[derive(Debug, Args)]
pub(crate) struct PasswordsCommand {
    #[command(subcommand)]
    command: Passwords,
}

#[derive(Debug, Subcommand)]
enum Passwords {
    BuildBreached(BuildBreached),
    CheckBreached(CheckBreached),
}

/// Build the file of breached passwords from public lists of their SHA-1.
///
/// Each list has lines `SHA1:COUNT` in the order of the hashes, as the public list comes. The file takes six bytes an
/// entry; name it in `passwords.breached_file`. Building takes no memory to speak of.
#[derive(Debug, Args)]
struct BuildBreached {
    /// The lists
    #[arg(required = true)]
    lists: Vec<PathBuf>,
    /// The new file; one that is there is replaced when the new one is whole
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave out what was seen less often
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    at_least: u64,
}

/// Look a password up, read from standard input. Ends with 1 if it is in the file.
#[derive(Debug, Args)]
struct CheckBreached {
    /// The file
    file: PathBuf,
}

impl PasswordsCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Passwords::BuildBreached(command) => command.run(),
            Passwords::CheckBreached(command) => command.run(),
        }
    }
}

impl BuildBreached {
    fn run(self) -> Result<ExitCode> {
        let lists = self.lists.iter().map(|path| {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            Ok(Box::new(BufReader::with_capacity(1 << 20, file)) as Box<dyn BufRead>)
        });
        let lists = lists.collect::<Result<Vec<_>>>()?;
        let mut unfinished = self.out.clone().into_os_string();
        unfinished.push(".unfinished");
        let mut out = File::create(&unfinished)?;
        let count = breached::build(lists, self.at_least, &mut out)
            .and_then(|count| out.sync_all().map(|()| count));
        let count = match count {
            Ok(count) => count,
            Err(error) => {
                fs::remove_file(&unfinished)?;
                bail!("{error}");
            }
        };
        ensure!(count > 0, "the lists hold nothing that was seen so often");
        fs::rename(&unfinished, &self.out)?;
        println!("{} holds {count} passwords", self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}

impl CheckBreached {
    fn run(self) -> Result<ExitCode> {
        let breached = Breached::open(&self.file)?;
        let password: Secret = secret_input::from_stdin()?;
        if breached.contains(password.expose())? {
            println!("breached");
            return Ok(ExitCode::FAILURE);
        }
        println!("not in the file");
        Ok(ExitCode::SUCCESS)
    }
}
