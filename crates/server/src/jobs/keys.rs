//! Signing keys by age: a successor is published when a key is old, and private halves that sign no more are erased.
//! Every node also reads its keys again, so that one whose last token has expired leaves the JWK set.

use std::{sync::Once, time::Duration};

use tokensmith_jose::Algorithm;
use tokensmith_store::{AuditContext, EraseSigningKey, SigningKeyRecord, Timestamp};

use super::Job;
use crate::{
    app::{App, StartError},
    keys::{self, NewKey, Rotation},
};

/// Another node's clock may be behind: it signs with the old key for so long after we think it stopped.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);
const SHORTEST_SPAN: Duration = Duration::from_secs(1);
const LONGEST_SPAN: Duration = Duration::from_secs(60);

pub(super) async fn tend(job: Job) {
    let tokens = &job.app.config().tokens;
    let span = tokens.signing_key_lifetime.min(tokens.signing_key_notice) / 10;
    let span = span.clamp(SHORTEST_SPAN, LONGEST_SPAN);
    job.every(span, async || {
        if job.is_ours(span).await? {
            rotate_and_erase(&job.app).await?;
        }
        job.app
            .keys()
            .reload(job.app.config(), job.app.store(), job.app.clock().now())
            .await
    })
    .await;
}

async fn rotate_and_erase(app: &App) -> Result<(), StartError> {
    let now = app.clock().now();
    let records = app.store().signing_keys().await?;
    let algorithms = app.keys().current().algorithms(now);
    for algorithm in algorithms {
        if !is_old(app, &records, algorithm, now) {
            continue;
        }
        if app.keys().current().is_external(algorithm) {
            tell_once(algorithm);
        } else {
            succeed(app, algorithm, AuditContext::system(now)).await?;
        }
    }
    if records.iter().any(|key| is_spent(key, now)) {
        app.store()
            .write(EraseSigningKey {
                context: AuditContext::system(now),
            })
            .await?;
    }
    Ok(())
}

/// A key that somebody keeps outside on purpose is not replaced by one kept here.
fn tell_once(algorithm: Algorithm) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            %algorithm,
            "the key of the external signer is old: add its successor with `tokensmith key external`"
        );
    });
}

async fn succeed(app: &App, algorithm: Algorithm, context: AuditContext) -> Result<(), StartError> {
    let key = NewKey::Generated(algorithm);
    if let Rotation::Added { kid, signs_from } =
        keys::rotate(app.config(), app.store(), key, None, context).await?
    {
        tracing::info!(kid, %signs_from, "a signing key is old: its successor is published");
    }
    Ok(())
}

/// Whether the newest key of the algorithm, which may be one that does not sign yet, has reached its age.
fn is_old(app: &App, records: &[SigningKeyRecord], algorithm: Algorithm, now: Timestamp) -> bool {
    let newest = records
        .iter()
        .filter(|key| key.algorithm == algorithm.as_str() && key.signs_until.is_none());
    let newest = newest.map(|key| key.created_at).max();
    newest.is_some_and(|made| now.since(made) >= app.config().tokens.signing_key_lifetime)
}

fn is_spent(key: &SigningKeyRecord, now: Timestamp) -> bool {
    key.sealed_private.is_some()
        && key
            .signs_until
            .is_some_and(|until| until + CLOCK_DIFFERENCE <= now)
}
