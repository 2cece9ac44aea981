//! `tokensmith serve`: production. Refuses a configuration that is not fit for it, naming every problem at once.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use tokensmith_server::{config::Config, listen::Sockets, observe, start};

use crate::{data, process};

/// Run the server.
///
/// Settings come from a TOML file and from the environment (`TOKENSMITH_…`, which wins); `tokensmith config check`
/// says what is wrong with them. A master key and an https issuer are required (plain http only on loopback).
/// Logs go to standard error. SIGTERM or SIGINT finishes the requests at work and ends with 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "TOKENSMITH_CONFIG")]
    config: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn run(self) -> Result<ExitCode> {
        process::warm_up_entropy();
        let config = Config::load(self.config.as_deref(), data::environment())?;
        let (traces, layer) = observe::otel::Traces::start(&config.otel)?.unzip();
        observe::logs::install(&config.log, layer)?;
        let served = process::runtime()?.block_on(serve(config));
        if let Some(traces) = traces {
            traces.shutdown();
        }
        served.map(|()| ExitCode::SUCCESS)
    }
}

async fn serve(config: Config) -> Result<()> {
    let stop = process::stop_signal()?;
    let sockets = Sockets::bind(&config)?;
    data::create_directory(&config.data_dir)?;
    tokio::spawn(process::give_back_freed_memory());
    let app = start::open(config).await?;
    tracing::info!(issuer = %app.config().issuer, store = app.store().engine_name(), "ready");
    start::serve(app, sockets, stop).await?;
    Ok(())
}
