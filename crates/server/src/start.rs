//! Running the server: open, make demo data if asked to, serve, drain.
//!
//! The caller binds the addresses first ([`Sockets::bind`]), so that a second server on the same port changes
//! nothing.

use std::future::Future;

use crate::{
    app::{App, StartError},
    audit,
    config::Config,
    demo,
    entropy::Entropy,
    jobs,
    listen::{self, Listen, Sockets},
    now::Clock,
    observe::metrics::Metrics,
    router,
};

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
    sockets: impl Into<Sockets>,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let listen = Listen {
        limits: app.config().limits.clone(),
        proxies: app.config().certificate_proxies(),
        metrics: Metrics::shared(),
        tls: app.certificates().tls().cloned(),
    };
    let mut jobs = jobs::spawn(&app);
    app.readiness().started();
    let stop = async {
        stop.await;
        app.readiness().draining();
    };
    let served = listen::serve(sockets, router::router(app.clone()), listen, stop).await;
    jobs.shutdown().await;
    audit::checkpoint_all(&app).await?;
    served.map_err(StartError::from)
}
