//! `tokensmith dev`: everything on one embedded SQLite file, without configuration, with demo data.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, anyhow};
use tokensmith_server::{listen, observe, start};
use tokio::net::TcpListener;

use crate::{banner, data, process};

/// Try it: a server with demo data on one SQLite file, no configuration needed.
///
/// Listens on loopback only. A second start on the same data keeps everything, also what you changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// The port on localhost; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The directory of the database and the master key
    #[arg(long, value_name = "DIR", default_value = data::DEV_DIRECTORY)]
    data: PathBuf,
}

impl Dev {
    pub(crate) fn run(self) -> Result<ExitCode> {
        process::warm_up_entropy();
        process::runtime()?.block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self) -> Result<()> {
        let listeners =
            bind(self.port).map_err(|error| anyhow!("{error}; choose another port with --port"))?;
        let port = listeners
            .first()
            .context("no address to listen on")?
            .local_addr()?
            .port();
        data::create_directory(&self.data)?;
        let config = data::dev_config(port, &self.data)?;
        observe::logs::install(&config.log, None)?;
        let stop = process::stop_signal()?;
        tokio::spawn(process::give_back_freed_memory());
        let app = start::open(config).await?;
        banner::print(&app);
        tokio::spawn(banner::print_mail(app.clone()));
        start::serve(app, listeners, stop).await?;
        Ok(())
    }
}

/// `localhost` is both addresses; the IPv6 one where the machine has it.
fn bind(port: u16) -> Result<Vec<TcpListener>> {
    let mut listeners = listen::bind(&[SocketAddr::from(([127, 0, 0, 1], port))])?;
    let port = listeners[0].local_addr()?.port();
    match listen::bind(&[SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))]) {
        Ok(more) => listeners.extend(more),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(error.into()),
        Err(_) => {}
    }
    Ok(listeners)
}
