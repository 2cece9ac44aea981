//! SQLite: a process killed with SIGKILL at any moment. Every acknowledged operation is there with its audit line,
//! nothing is there without, and a migration goes on where it stopped.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tokensmith_store::*;

use super::child;
use crate::{actors::*, ground::*};

const FAMILIES: u128 = 8;
const CYCLES: u64 = 12;

fn family_id(number: u128) -> FamilyId {
    uuid::Uuid::from_u128(0x0193_0c8e_5b7a_7000_9000_0000_0000_0000 | number).into()
}

/// The other process: rotates every family and appends lines, and tells of each once it is acknowledged.
pub(crate) async fn rotate_for_ever(path: &Path) {
    let store = std::sync::Arc::new(open_as_server(path).await);
    for number in 0..FAMILIES {
        let (store, id) = (std::sync::Arc::clone(&store), family_id(number));
        tokio::spawn(async move {
            loop {
                let family = store
                    .refresh_family(&id)
                    .await
                    .expect("a read")
                    .expect("a family");
                let presented = rotation(&id, family.generation, NOW);
                let Rotation::Rotated(now) = store.write(presented).await.expect("a write") else {
                    panic!("only this process rotates it");
                };
                child::tell(&format!("{number} {}", now.generation));
            }
        });
    }
    for number in 1.. {
        let event = AuditEvent::new("token_issued");
        store.record(at(NOW), event).await.expect("a line");
        child::tell(&format!("lines {number}"));
    }
}

/// The other process: opens a new store, again and again.
pub(crate) async fn start_for_ever(directory: &Path) {
    for number in 0.. {
        let target = Target::Sqlite(directory.join(format!("{number}.db")));
        child::tell(&format!("begun {number}"));
        open(&target).await.expect("the store opens");
        child::tell(&format!("opened {number}"));
    }
}

/// Kills the process of a role after a while; returns the last number it told for each name.
fn kill_after(role: &str, path: &Path, span: Duration) -> BTreeMap<String, i64> {
    let (mut other, lines) = child::start(child::command(role, path).0);
    let first = lines.recv_timeout(Duration::from_secs(30));
    let first = first.expect("the other process begins");
    std::thread::sleep(span);
    other.kill().expect("SIGKILL");
    other.wait().expect("it died");
    let told = std::iter::once(first).chain(lines.iter());
    told.filter_map(|line| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_operation_survives_a_sigkill() {
    let ground = Ground::sqlite().await;
    let Target::Sqlite(path) = ground.target.clone() else {
        panic!("an SQLite ground");
    };
    let web = ground.client("web").await;
    for number in 0..FAMILIES {
        let mut family = ground.new_family(&web, None);
        family.id = family_id(number);
        assert!(ground.open_family(family, NOW).await);
    }
    let (mut generations, mut lines) = (vec![1; FAMILIES as usize], 0);
    for cycle in 0..CYCLES {
        let told = kill_after(
            "rotates",
            &path,
            Duration::from_millis(30 + cycle * 83 % 400),
        );
        // Opening moves what the journal holds.
        drop(open(&ground.target).await.unwrap());
        assert_eq!(ground.store.verify().await.unwrap(), [], "cycle {cycle}");
        for number in 0..FAMILIES {
            let family = ground
                .store
                .refresh_family(&family_id(number))
                .await
                .unwrap()
                .unwrap();
            let before = generations[number as usize];
            let acknowledged = told.get(&number.to_string()).copied().unwrap_or(before);
            assert!(
                family.generation == acknowledged || family.generation == acknowledged + 1,
                "cycle {cycle}: family {number} is at {}, acknowledged {acknowledged}",
                family.generation
            );
            generations[number as usize] = family.generation;
        }
        let (rotated, issued) = count_lines(&ground.store).await;
        assert_eq!(
            rotated,
            generations
                .iter()
                .map(|generation| generation - 1)
                .sum::<i64>()
        );
        let acknowledged = lines + told.get("lines").copied().unwrap_or(0);
        assert!(
            issued == acknowledged || issued == acknowledged + 1,
            "{issued} of {acknowledged}"
        );
        lines = issued;
    }
    assert!(
        generations.iter().all(|generation| *generation > 3),
        "it was at work: {generations:?}"
    );
    ground.leave().await;
}

async fn count_lines(store: &Store) -> (i64, i64) {
    let (mut rotated, mut issued) = (0, 0);
    let mut page = AuditPage {
        after: 0,
        limit: 5000,
    };
    loop {
        let lines = store.audit_page(page).await.expect("an answer");
        let count = |event| lines.iter().filter(|line| line.event == event).count() as i64;
        rotated += count("refresh_token_rotated");
        issued += count("token_issued");
        match lines.last() {
            Some(last) => page.after = last.id(),
            None => return (rotated, issued),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_killed_half_way_is_finished_by_the_next() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for cycle in 0..CYCLES {
        let own = directory.path().join(cycle.to_string());
        std::fs::create_dir(&own).expect("a directory");
        let told = kill_after("starts", &own, Duration::from_millis(cycle * 7 % 50));
        for number in 0..=told["begun"] {
            let target = Target::Sqlite(own.join(format!("{number}.db")));
            let store = open(&target).await.expect("the next start succeeds");
            assert_eq!(store.verify().await.unwrap(), []);
        }
    }
}
