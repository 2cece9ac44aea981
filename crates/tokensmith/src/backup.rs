//! `tokensmith backup`: a copy of the embedded database, also while the server runs.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail, ensure};
use clap::Args;
use tokensmith_server::config::Database;
use tokensmith_store::back_up_sqlite;

use crate::data::Place;

/// Copy the embedded database to a new file, also while the server runs.
///
/// The copy is of one instant, checked, and readable by you alone. Keep the master key with it, but in another place:
/// signing keys in the copy do not open without it. To go back to it, stop the server and put the file in the place
/// of the database, without the -wal and -shm files beside that. What was revoked since the copy is then not revoked:
/// run `tokensmith key rotate --now`, retire the old key, and let people sign in again.
#[derive(Debug, Args)]
pub(crate) struct BackupCommand {
    /// The new file; one that is there is not overwritten
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl BackupCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let Database::Sqlite(path) = self.place.config()?.database else {
            bail!("the database is PostgreSQL: use pg_dump, which copies it as of one instant too");
        };
        ensure!(path.exists(), "there is no database at {}", path.display());
        ensure!(
            !self.file.exists(),
            "{} is there already and is not overwritten",
            self.file.display()
        );
        let copy = back_up_sqlite(&path, &self.file)?;
        println!(
            "{} holds {} as of now ({} bytes)",
            self.file.display(),
            path.display(),
            copy.bytes
        );
        Ok(ExitCode::SUCCESS)
    }
}
