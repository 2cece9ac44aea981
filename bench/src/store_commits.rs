//! The store under many callers, each waiting for its durable answer before it writes again: a unit of work is one
//! rotation of a refresh token, which is one update and one chained audit line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokensmith_oauth2::ClientId;
use tokensmith_store::{
    AuditContext, FamilyId, OpenFamily, Options, RefreshFamily, RotateRefreshToken, Rotation,
    Store, Target, Timestamp,
};
use uuid::Uuid;

use crate::subject;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Database file; made anew.
    #[arg(long)]
    file: PathBuf,
    /// Callers at once.
    #[arg(long, default_value_t = 32)]
    callers: u32,
    /// Seconds to run.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let rate = runtime.block_on(rotations_a_second(arguments))?;
    println!("{rate:.0}");
    Ok(())
}

async fn rotations_a_second(arguments: &Arguments) -> Result<f64> {
    let now = subject::now();
    let target = Target::Sqlite(arguments.file.clone());
    let store = Arc::new(Store::open(&Options::new(target), now).await?);
    subject::register_clients(&store, 1, now).await?;
    let client = subject::client_id(0)?;
    let (started, time) = (Instant::now(), Duration::from_secs(arguments.seconds));
    let callers: tokio::task::JoinSet<_> = (0..arguments.callers)
        .map(|caller| {
            rotate_until(
                Arc::clone(&store),
                family(caller, client.clone(), now),
                started + time,
            )
        })
        .collect();
    let rotations: u64 = callers.join_all().await.into_iter().sum::<Result<u64>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    Ok(rotations as f64 / started.elapsed().as_secs_f64())
}

/// One caller with a family of its own.
async fn rotate_until(store: Arc<Store>, family: RefreshFamily, end: Instant) -> Result<u64> {
    let (id, client_id, now) = (
        family.id.clone(),
        family.client_id.clone(),
        family.created_at,
    );
    let context = AuditContext {
        ip: Some("127.0.0.1".into()),
        ..AuditContext::operator(now)
    };
    ensure!(
        store
            .write(OpenFamily {
                family,
                context: context.clone()
            })
            .await?,
        "the family was not opened"
    );
    let mut generation = 1;
    while Instant::now() < end {
        let rotate = RotateRefreshToken {
            family: id.clone(),
            presented: generation,
            client_id: client_id.clone(),
            confirmation: None,
            jti: format!("{generation:022}"),
            idle: HOUR,
            grace: Duration::ZERO,
            revoked_until: now + HOUR,
            context: context.clone(),
        };
        let Rotation::Rotated(rotated) = store.write(rotate).await? else {
            anyhow::bail!("generation {generation} was not rotated");
        };
        generation = rotated.generation;
    }
    Ok(u64::try_from(generation - 1)?)
}

fn family(caller: u32, client_id: ClientId, now: Timestamp) -> RefreshFamily {
    RefreshFamily {
        id: FamilyId::from(Uuid::from_u128(u128::from(caller))),
        root_key: "bench".into(),
        client_id,
        user_id: None,
        session_id: None,
        org_id: None,
        scope: subject::scope(),
        resources: Vec::new(),
        confirmation: None,
        generation: 1,
        rotated_at: now,
        successor_used_at: None,
        current_jti: None,
        created_at: now,
        expires_at: now + HOUR,
        idle_expires_at: now + HOUR,
        revoked_at: None,
        revoked_reason: None,
    }
}
