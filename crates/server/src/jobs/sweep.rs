//! Removes what is over, in small batches, so that no table grows without end and no request waits for it.

use std::time::Duration;

use tokensmith_store::{Expired, StoreError, Sweep, Timestamp};

use super::Job;
use crate::app::{App, StartError};

const SPAN: Duration = Duration::from_secs(60);
pub(crate) const BATCH: i64 = 500;
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

/// Before which instant something may be removed, and its name.
pub(crate) fn is_over_before(expired: Expired, now: Timestamp) -> (Timestamp, &'static str) {
    match expired {
        Expired::Revocations => (now, "revocations"),
        Expired::Sessions => (now - KEPT, "sessions"),
        Expired::RefreshFamilies => (now - KEPT, "refresh_families"),
        Expired::EndedRefreshFamilies => (now - KEPT, "ended_refresh_families"),
        Expired::Invitations => (now - KEPT, "invitations"),
        Expired::ApiKeys => (now - KEPT, "api_keys"),
        Expired::UsedJtis => (now - CLOCK_DIFFERENCE, "used_jtis"),
        Expired::AccountProofs => (now, "account_proofs"),
        Expired::Mail => (now - KEPT, "mail"),
        Expired::PendingSignIns => (now, "pending_sign_ins"),
        Expired::RememberedDevices => (now, "remembered_devices"),
    }
}

async fn sweep_all(app: &App, expired: Expired) -> Result<(), StartError> {
    while sweep_batch(app, expired, app.clock().now()).await? == BATCH.unsigned_abs() {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Removes one batch; a full one may not be the last.
pub(crate) async fn sweep_batch(
    app: &App,
    expired: Expired,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let (before, what) = is_over_before(expired, now);
    let sweep = Sweep {
        expired,
        before,
        limit: BATCH,
    };
    let removed = app.store().write(sweep).await?;
    metrics::counter!("tokensmith_swept_rows_total", "what" => what).increment(removed);
    Ok(removed)
}
