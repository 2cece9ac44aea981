//! Following the configuration epoch: one small read a few times a second, on every node.

use std::time::Duration;

use crate::app::App;

/// How soon a change of clients, resources, scopes or keys is seen by every node.
pub const EPOCH_INTERVAL: Duration = Duration::from_millis(400);

/// Reloads keys and declarations whenever the epoch moves. Runs until the server stops.
pub async fn follow(app: App) {
    let mut seen = None;
    let mut tick = tokio::time::interval(EPOCH_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match app.store().configuration_epoch().await {
            Ok(epoch) if seen == Some(epoch) => {}
            Ok(epoch) => {
                if reload(&app).await {
                    seen = Some(epoch);
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "the configuration epoch cannot be read; what is known stays")
            }
        }
    }
}

async fn reload(app: &App) -> bool {
    let declared = app.registry().reload(app.store()).await;
    let now = app.clock().now();
    let keys = app.keys().reload(app.config(), app.store(), now).await;
    if let Some(error) = declared.err().or(keys.err()) {
        tracing::error!(error = %error, "changed declarations cannot be used; the former ones stay");
        return false;
    }
    true
}
