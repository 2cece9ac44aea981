//! Migrations: run once, resumed after a death half-way, refused on what is newer or not ours.

use tokensmith_store::*;

use crate::ground::*;

async fn refusal(target: &Target) -> String {
    match open(target).await {
        Ok(_) => panic!("it should be refused"),
        Err(StoreError::Corrupt(reason)) => reason,
        Err(error) => panic!("refused for another reason: {error}"),
    }
}

on_both_engines! {
    async fn a_second_start_finds_everything_in_place(ground: &Ground) {
        let alice = ground.user("alice").await;
        let again = open(&ground.target).await.expect("it opens");
        assert!(again.user(&alice).await.unwrap().is_some());
    }

    async fn many_first_starts_at_once_migrate_once(ground: &Ground) {
        let target = empty(ground).await;
        let opened = (0..16).map(|_| {
            let target = target.clone();
            tokio::spawn(async move { open(&target).await.map(drop) })
        });
        for start in opened.collect::<Vec<_>>() {
            start.await.unwrap().expect("each start succeeds");
        }
        let store = open(&target).await.expect("it opens");
        assert_eq!(store.verify().await.unwrap(), []);
        drop(store);
        drop_database(&target).await;
    }

    async fn a_newer_database_is_refused_and_left_alone(ground: &Ground) {
        let newer = SCHEMA_VERSION + 1;
        ground
            .sql(&format!(
                "INSERT INTO schema_migrations (version, name, text_hash, applied_at)
                SELECT {newer}, 'of_the_future', text_hash, 0 FROM schema_migrations WHERE version = 1"
            ))
            .await;
        let reason = refusal(&ground.target).await;
        assert!(reason.contains(&format!("schema version {newer}")) && reason.contains("newer tokensmith"), "{reason}");
    }

    async fn a_database_whose_migration_was_another_is_refused(ground: &Ground) {
        // Any 32 bytes but the right ones.
        ground.user("alice").await;
        let other = "UPDATE schema_migrations SET text_hash = (SELECT hash FROM audit_heads LIMIT 1)";
        ground.sql(other).await;
        let reason = refusal(&ground.target).await;
        assert!(reason.contains("is not the one that ran here"), "{reason}");
    }

    async fn a_database_of_another_program_is_refused_and_left_alone(ground: &Ground) {
        let target = empty(ground).await;
        run_sql(&target, "CREATE TABLE users (id TEXT)").await;
        let reason = refusal(&target).await;
        assert!(reason.contains("another program"), "{reason}");
        run_sql(&target, "DROP TABLE users").await;
        open(&target).await.expect("an empty one is welcome");
        drop_database(&target).await;
    }
}

/// A target where nothing is yet.
async fn empty(ground: &Ground) -> Target {
    match &ground.target {
        Target::Sqlite(path) => Target::Sqlite(path.with_file_name("other.db")),
        Target::Postgres(_) => Target::Postgres(fresh_database().await),
    }
}
