//! PostgreSQL: connections that end, hang, or lose the answer to a commit, under load and in a migration.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokensmith_store::*;

use super::proxy::{Mood, Proxy};
use crate::{actors::*, ground::*};

fn url(target: &Target) -> &str {
    match target {
        Target::Postgres(url) => url,
        Target::Sqlite(_) => panic!("a PostgreSQL ground"),
    }
}

/// Ends every connection of the store's own.
const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'tokensmith'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_ended_under_load_lose_nothing_acknowledged() {
    let ground = Ground::postgresql().await;
    let web = ground.client("web").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for _ in 0..8 {
        let family = ground.family(&web, None).await;
        let worker = rotate_until(Arc::clone(&ground.store), family, Arc::clone(&stop));
        workers.push(tokio::spawn(worker));
    }
    let server = connect(url(&ground.target)).await;
    let mut ended = 0;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ended += server
            .query_one(TERMINATE, &[])
            .await
            .unwrap()
            .get::<_, i64>(0);
    }
    stop.store(true, Ordering::Relaxed);
    let mut rotations = 0;
    for worker in workers {
        let (family, generation) = worker.await.expect("no branch, no loss");
        let stored = ground.store.refresh_family(&family).await.unwrap().unwrap();
        assert!(
            stored.is_live(NOW),
            "an honest client was not taken for a thief"
        );
        assert_eq!(stored.generation, generation);
        rotations += generation - 1;
    }
    assert!(
        ended > 20 && rotations > 50,
        "{ended} ended, {rotations} rotations"
    );
    assert_eq!(ground.audited("refresh_token_reuse").await, 0);
    ground.leave().await;
}

/// Rotates, and when the answer is lost presents the same token again, as an honest client does.
async fn rotate_until(
    store: Arc<Store>,
    family: FamilyId,
    stop: Arc<AtomicBool>,
) -> (FamilyId, i64) {
    let mut held = 1;
    let mut is_certain = true;
    while !stop.load(Ordering::Relaxed) || !is_certain {
        match store.write(rotation(&family, held, NOW)).await {
            Ok(Rotation::Rotated(now) | Rotation::SameSuccessor(now)) => {
                assert_eq!(now.generation, held + 1);
                (held, is_certain) = (now.generation, true);
            }
            Err(StoreError::Unavailable(_)) => is_certain = false,
            other => panic!("generation {held}: {other:?}"),
        }
    }
    (family, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_happened_once() {
    let ground = Ground::postgresql().await;
    let proxy = Proxy::start(url(&ground.target)).await;
    let store = open(&Target::Postgres(proxy.url.clone()))
        .await
        .expect("through the proxy");
    let web = ground.client("web").await;
    for (mood, committed) in [(Mood::LosesCommit, false), (Mood::LosesAnswer, true)] {
        let family = ground.family(&web, None).await;
        proxy.set(mood);
        let lost = store.write(rotation(&family, 1, NOW)).await;
        assert!(
            matches!(lost, Err(StoreError::Unavailable(_))),
            "{mood:?}: {lost:?}"
        );
        // A server notices a cut line only when it next reads from it.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stored = ground.store.refresh_family(&family).await.unwrap().unwrap();
        assert_eq!(stored.generation, if committed { 2 } else { 1 }, "{mood:?}");
        let again = store
            .write(rotation(&family, 1, NOW))
            .await
            .expect("the next connection");
        assert_eq!(
            word(&again),
            if committed {
                "same successor"
            } else {
                "rotated"
            }
        );
    }
    ground.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_unavailable_within_the_limit() {
    let ground = Ground::postgresql().await;
    let proxy = Proxy::start(url(&ground.target)).await;
    let store = open(&Target::Postgres(proxy.url.clone()))
        .await
        .expect("through the proxy");
    store.ping().await.expect("it answers");
    let web = ground.client("web").await;
    let family = ground.family(&web, None).await;
    proxy.set(Mood::Hangs);
    let begun = Instant::now();
    let (read, written) = tokio::join!(store.ping(), store.write(rotation(&family, 1, NOW)));
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(
        matches!(written, Err(StoreError::Unavailable(_))),
        "{written:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(13),
        "{:?}",
        begun.elapsed()
    );
    proxy.set(Mood::Honest);
    let again = store
        .write(rotation(&family, 1, NOW))
        .await
        .expect("it answers again");
    assert_eq!(word(&again), "rotated");
    ground.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_whose_connection_ends_is_finished_by_the_next_start() {
    let url = fresh_database().await;
    let target = Target::Postgres(url.clone());
    // Somebody else is about to create the last table, so the migration waits for them in its middle.
    let mut other = connect(&url).await;
    let busy = other.transaction().await.expect("BEGIN");
    busy.batch_execute("CREATE TABLE revocations (id BIGINT)")
        .await
        .expect("CREATE");
    let start = tokio::spawn({
        let target = target.clone();
        async move { open(&target).await.map(drop) }
    });
    let server = connect(&url).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'tokensmith' AND wait_event_type = 'Lock'";
    while server.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.query_one(TERMINATE, &[]).await.unwrap();
    let died = start.await.unwrap();
    assert!(matches!(died, Err(StoreError::Unavailable(_))), "{died:?}");
    busy.rollback().await.expect("ROLLBACK");
    let store = open(&target).await.expect("the next start succeeds");
    assert_eq!(store.verify().await.unwrap(), []);
    drop(store);
    drop_database(&target).await;
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_unavailable() {
    let nobody = Target::Postgres("postgres://u:p@127.0.0.1:1/none".into());
    let refused = open(&nobody).await.map(drop);
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    let nonsense = open(&Target::Postgres("postgres://:::".into()))
        .await
        .map(drop);
    assert!(
        matches!(nonsense, Err(StoreError::Unavailable(_))),
        "{nonsense:?}"
    );
}
