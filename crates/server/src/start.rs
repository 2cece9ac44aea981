//! Running the server: bind, open, make demo data if asked to, serve, drain.
//!
//! Addresses are bound before anything is opened, so that a second server on the same port changes nothing.

use std::{future::Future, io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::{
    app::{App, StartError},
    config::Config,
    demo,
    entropy::Entropy,
    now::Clock,
    registry, router,
};

/// Connections the operating system keeps waiting for us.
const BACKLOG: u32 = 1024;

/// Takes the addresses.
///
/// # Errors
/// One sentence that names the address that cannot be had.
pub fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    addresses
        .iter()
        .map(|address| listen(*address).map_err(|error| explained(*address, error)))
        .collect()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn explained(address: SocketAddr, error: io::Error) -> io::Error {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(
        error.kind(),
        format!("cannot listen on {address}: {reason}"),
    )
}

/// Opens everything the configuration names, with demo data if it says so.
///
/// # Errors
/// As [`App::open`].
pub async fn open(config: Config) -> Result<App, StartError> {
    let wants_demo = config.demo;
    let app = App::open(config, Clock::System, Entropy::default()).await?;
    if wants_demo {
        demo::seed(&app).await?;
    }
    Ok(app)
}

/// Serves until `stop` is ready, then finishes what is at work.
///
/// # Errors
/// Those of the listeners.
pub async fn serve(
    app: App,
    listeners: Vec<TcpListener>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        stop.await;
        stopping.send_replace(true);
    });
    let following = tokio::spawn(registry::follow(app.clone()));
    let router = router::router(app);
    let serving = listeners.into_iter().map(|listener| {
        let mut stopped = stopped.clone();
        let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        let serving = axum::serve(listener, router.clone()).with_graceful_shutdown(stop);
        async move { serving.await }
    });
    let outcome = futures_util::future::try_join_all(serving).await;
    following.abort();
    outcome.map(drop).map_err(StartError::from)
}
