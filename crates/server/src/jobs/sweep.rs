//! Removes what is over, in small batches, so that no table grows without end and no request waits for it.

use std::time::Duration;

use tokensmith_store::{Expired, Sweep};

use super::Job;
use crate::app::{App, StartError};

const SPAN: Duration = Duration::from_secs(60);
const BATCH: i64 = 500;
/// Between two batches requests have the writer to themselves.
const PAUSE: Duration = Duration::from_millis(20);
/// Used identifiers stay a little longer than needed, for nodes whose clocks are behind.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);
/// Sessions and refresh families stay for a week after their end, so that their timeline can be looked at.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) async fn sweep(job: Job) {
    job.every(SPAN, async || {
        if job.is_ours(SPAN).await? {
            for expired in Expired::ALL {
                sweep_all(&job.app, expired).await?;
            }
        }
        Ok(())
    })
    .await;
}

async fn sweep_all(app: &App, expired: Expired) -> Result<(), StartError> {
    let now = app.clock().now();
    let (before, what) = match expired {
        Expired::Revocations => (now, "revocations"),
        Expired::Sessions => (now - KEPT, "sessions"),
        Expired::RefreshFamilies => (now - KEPT, "refresh_families"),
        Expired::EndedRefreshFamilies => (now - KEPT, "ended_refresh_families"),
        Expired::UsedJtis => (now - CLOCK_DIFFERENCE, "used_jtis"),
        Expired::Mail => (now - KEPT, "mail"),
    };
    loop {
        let removed = app
            .store()
            .write(Sweep {
                expired,
                before,
                limit: BATCH,
            })
            .await?;
        metrics::counter!("tokensmith_swept_rows_total", "what" => what).increment(removed);
        if removed < BATCH.unsigned_abs() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
