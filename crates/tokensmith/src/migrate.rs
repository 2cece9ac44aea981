//! `tokensmith migrate`: brings the database to this program's schema without starting a server.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokensmith_server::config::Database;
use tokensmith_store::SCHEMA_VERSION;

use crate::data::{self, Place};

/// Bring the database to this program's schema.
///
/// A start does the same. Migrations run one by one, each in a transaction, under a lock; an interrupted one is run
/// again. A database newer than this program is refused.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    place: Place,
}

impl Migrate {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let config = self.place.config()?;
        if let Database::Sqlite(_) = &config.database {
            data::create_directory(&config.data_dir)?;
        }
        let shown = config.database_shown();
        self.place.run_on(config, async |_| Ok(()))?;
        println!("{shown} has schema version {SCHEMA_VERSION}");
        Ok(ExitCode::SUCCESS)
    }
}
