//! How many durable rotations a second the store makes, beside the same statements run by SQLite alone.
//!
//! `commits store <file | postgres://…> <callers> <seconds>`: many callers, each waiting for its answer.
//! `commits bare <file> <batch> <seconds>`: one loop, `batch` rotations a commit, fsynced; no store at all.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokensmith_oauth2::{ClientId, Scope};
use tokensmith_store::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, place, many, seconds] = arguments.as_slice() else {
        return Err("commits store|bare <place> <callers|batch> <seconds>".into());
    };
    let (many, span) = (many.parse()?, Duration::from_secs(seconds.parse()?));
    let (begun, rotations) = match mode.as_str() {
        "store" => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(store(place, many, span))?
        }
        "bare" => bare(Path::new(place), many, span)?,
        other => return Err(format!("no such mode: {other}").into()),
    };
    let rate = rotations as f64 / begun.elapsed().as_secs_f64();
    println!("{mode}: {rate:.0} rotations a second, {many} at once");
    Ok(())
}

async fn store(place: &str, callers: u128, span: Duration) -> Outcome<(Instant, u64)> {
    let target = if place.starts_with("postgres") {
        Target::Postgres(place.to_owned())
    } else {
        Target::Sqlite(place.into())
    };
    let mut options = Options::new(target);
    options.connection_wait = span;
    let store = Arc::new(Store::open(&options, NOW).await?);
    let context = AuditContext::system(NOW);
    store
        .write(PutClient {
            client: client()?,
            context: context.clone(),
        })
        .await?;
    let mut families = Vec::new();
    for _ in 0..callers {
        let family = family(u128::from(std::process::id()) << 32 | families.len() as u128)?;
        families.push(family.id.clone());
        store
            .write(OpenFamily {
                family,
                context: context.clone(),
            })
            .await?;
    }
    let begun = Instant::now();
    let rotate = |id| rotate_until(Arc::clone(&store), id, begun + span);
    let calls: Vec<_> = families
        .into_iter()
        .map(|id| tokio::spawn(rotate(id)))
        .collect();
    let mut rotations = 0;
    for call in calls {
        rotations += call.await??;
    }
    Ok((begun, rotations))
}

async fn rotate_until(store: Arc<Store>, family: FamilyId, end: Instant) -> Outcome<u64> {
    let client_id = ClientId::parse("bench")?;
    let mut generation = 1;
    while Instant::now() < end {
        let rotate = RotateRefreshToken {
            family: family.clone(),
            presented: generation,
            client_id: client_id.clone(),
            confirmation: None,
            jti: format!("{generation:022}"),
            idle: HOUR,
            grace: Duration::ZERO,
            revoked_until: NOW + HOUR,
            context: AuditContext::system(NOW),
        };
        match store.write(rotate).await? {
            Rotation::Rotated(family) => generation = family.generation,
            other => return Err(format!("generation {generation}: {other:?}").into()),
        }
    }
    Ok(generation.unsigned_abs() - 1)
}

/// The statements of a rotation and its audit line, on the tables of a store.
fn bare(path: &Path, batch: u128, span: Duration) -> Outcome<(Instant, u64)> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(store(&path.to_string_lossy(), batch, Duration::ZERO))?;
    let connection = rusqlite::Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;")?;
    let ids: Vec<String> = connection
        .prepare("SELECT id FROM refresh_families")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut line: i64 =
        connection.query_row("SELECT max(id) FROM audit_log", [], |row| row.get(0))?;
    let (begun, mut rotations) = (Instant::now(), 0);
    while begun.elapsed() < span {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for id in &ids {
            connection
                .prepare_cached("UPDATE refresh_families SET generation = generation + 1, rotated_at = ?1, idle_expires_at = ?1 WHERE id = ?2")?
                .execute((NOW.as_millis(), id))?;
            line += 1;
            connection
                .prepare_cached("INSERT INTO audit_log (id, at, event, grant_id, body, hash) VALUES (?1, ?2, 'refresh_token_rotated', ?3, ?4, ?5)")?
                .execute((line, NOW.as_millis(), id, "x".repeat(240), [7_u8; 32]))?;
            rotations += 1;
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok((begun, rotations))
}

fn family(number: u128) -> Outcome<RefreshFamily> {
    Ok(RefreshFamily {
        id: uuid::Uuid::from_u128(number).into(),
        root_key: "k1".into(),
        client_id: ClientId::parse("bench")?,
        user_id: None,
        session_id: None,
        org_id: None,
        scope: Scope::parse("read write")?,
        resources: Vec::new(),
        confirmation: None,
        generation: 1,
        rotated_at: NOW,
        successor_used_at: None,
        current_jti: None,
        created_at: NOW,
        expires_at: NOW + HOUR,
        idle_expires_at: NOW + HOUR,
        revoked_at: None,
        revoked_reason: None,
    })
}

fn client() -> Outcome<Client> {
    Ok(Client {
        client_id: ClientId::parse("bench")?,
        name: "Bench".into(),
        auth_method: AuthMethod::None,
        secrets: Vec::new(),
        grant_types: Vec::new(),
        scope: Scope::parse("read write")?,
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: NOW,
        updated_at: NOW,
    })
}
