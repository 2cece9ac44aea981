//! Sends the mail of the outbox. Every node does: a claim gives each mail to one of them.

use std::time::Duration;

use crate::{app::App, mail};

/// After a failure of the store.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn send(app: App) {
    loop {
        if let Err(error) = mail::send_due(&app).await {
            tracing::warn!(job = "mail", error = %error, "a job failed and is tried again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
