//! `tokensmith config`: what is wrong with the configuration of `serve`, and what it is.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};
use tokensmith_server::config::{Loaded, reference};

use crate::{data, listing};

/// The configuration of `serve`: check it, show it, read about every setting.
#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
    /// The configuration file
    #[arg(long, value_name = "FILE", global = true, env = "TOKENSMITH_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say everything that is wrong with it, without starting
    Check,
    /// Print every setting with its value and where it comes from; secrets are left out
    Show,
    /// Print what every setting means, in Markdown
    Reference,
}

impl ConfigCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let load = || Loaded::from(self.config.as_deref(), data::environment());
        match self.action {
            Action::Check => load().map(|_| println!("the configuration is fit to serve"))?,
            Action::Show => listing::write_out(&load()?.show())?,
            Action::Reference => listing::write_out(&reference())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
