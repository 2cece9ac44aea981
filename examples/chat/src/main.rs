//! The example resource server: a chat service built from the two published libraries and nothing private.
//! Starts from its environment (README.md lists the settings) and stops gracefully.

mod chat;
mod groups;
mod observe;
mod problem;
mod store;

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// How long requests in progress may take once the service was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(std::io::stderr).init();
    let app = chat::app().await?;
    let (host, port) = (
        setting("CHAT_HOST", "127.0.0.1"),
        setting("CHAT_PORT", "8001"),
    );
    let listener = TcpListener::bind(format!("{host}:{port}")).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    let mut terminate = signal(SignalKind::terminate())?;
    let (stopping, stopped) = oneshot::channel();
    let serve = axum::serve(listener, app).with_graceful_shutdown(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        let _ = stopping.send(());
    });
    tokio::select! {
        served = serve => Ok(served?),
        () = async { _ = stopped.await; tokio::time::sleep(DRAIN).await } => {
            anyhow::bail!("requests were cut off")
        }
    }
}

/// A setting from the environment; an empty one counts as absent.
fn setting(name: &str, default: &str) -> String {
    let given = std::env::var(name).ok().filter(|value| !value.is_empty());
    given.unwrap_or_else(|| default.to_owned())
}
