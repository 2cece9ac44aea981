//! Work beside the requests. Any node may run a job, the one that holds its lease does; a node that ends lets its
//! leases run out.

mod checkpoints;
mod keys;
mod mail;
mod sweep;

pub(crate) use sweep::{BATCH, is_over_before, sweep_batch};

use std::{future::Future, time::Duration};

use tokensmith_store::{Lease, TakeLease};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::{
    app::{App, StartError},
    registry, revocations,
};

/// A lease is held for so many turns of its job, so that one late turn does not hand it over.
const TURNS_HELD: u32 = 3;

/// Starts every job. They end when the set is dropped or shut down.
pub fn spawn(app: &App) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    let node = app.entropy().identifier();
    let job = |name| Job {
        name,
        node: node.clone(),
        app: app.clone(),
    };
    jobs.spawn(registry::follow(app.clone()));
    jobs.spawn(revocations::follow(app.clone()));
    let certificates = app.clone();
    jobs.spawn(async move { certificates.certificates().follow().await });
    jobs.spawn(mail::send(app.clone()));
    jobs.spawn(keys::tend(job("signing-keys")));
    jobs.spawn(checkpoints::make(job("audit-checkpoints")));
    jobs.spawn(sweep::sweep(job("sweep")));
    jobs
}

/// What a job knows of itself.
struct Job {
    name: &'static str,
    node: String,
    app: App,
}

impl Job {
    /// Runs `turn` every so often, until the server stops. A turn that fails is logged and comes again.
    async fn every<F>(&self, span: Duration, mut turn: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), StartError>>,
    {
        let mut tick = interval_at(Instant::now() + span, span);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = turn().await {
                tracing::warn!(job = self.name, error = %error, "a job failed and is tried again");
            }
        }
    }

    /// Whether this node is the one to do the work, from now until three turns from now.
    async fn is_ours(&self, span: Duration) -> Result<bool, StartError> {
        let (name, holder, now) = (self.name, self.node.clone(), self.app.clock().now());
        let lease = TakeLease {
            name,
            holder,
            span: span * TURNS_HELD,
            now,
        };
        Ok(self.app.store().write(lease).await? == Lease::Held)
    }
}
