//! SQLite on a full disk: a small file system of its own, filled to the last byte. Writes are refused as
//! unavailable, reads go on, nothing is there by half, and once there is room the store goes on without a restart.

use std::{path::Path, process::Command};

use tokensmith_store::*;

use super::child;
use crate::{actors::*, ground::*};

/// The other process, on a file system of 8 MiB.
pub(crate) async fn fill_the_disk(directory: &Path) {
    let target = Target::Sqlite(directory.join("store.db"));
    let store = open(&target).await.expect("the store opens");
    let register = RegisterClient {
        client: client("web"),
        context: at(NOW),
    };
    store.write(register).await.expect("there is room yet");
    let filler = directory.join("filler");
    fill(&filler);
    let (mut kept, mut refused) = (0, 0);
    while refused < 20 {
        match store.write(bulky(kept)).await {
            Ok(()) => kept += 1,
            Err(StoreError::Unavailable(_)) => refused += 1,
            Err(error) => panic!("a full disk is no {error:?}"),
        }
        store
            .client(&client_id("web"))
            .await
            .expect("reads go on")
            .expect("the client");
    }
    assert_eq!(written(&store).await, kept);
    assert_eq!(store.verify().await.expect("an answer"), []);
    std::fs::remove_file(filler).expect("room again");
    for _ in 0..50 {
        store.write(bulky(kept)).await.expect("there is room again");
        kept += 1;
    }
    assert_eq!(written(&store).await, kept);
    assert_eq!(store.verify().await.expect("an answer"), []);
    child::tell(&format!("survived {kept}"));
}

fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("a file");
    for size in [65_536, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

fn bulky(number: usize) -> AppendAudit {
    AppendAudit {
        context: at(NOW),
        event: AuditEvent::new("bulky")
            .field("n", number)
            .field("weight", "x".repeat(2000)),
        durability: Durability::PowerSafe,
    }
}

async fn written(store: &Store) -> usize {
    let lines = store.audit_newest(100_000).await.expect("an answer");
    lines.iter().filter(|line| line.event == "bulky").count()
}

#[test]
fn a_full_disk_refuses_writes_and_harms_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (plain, role) = child::command("fills", directory.path());
    let mut command = Command::new("unshare");
    // Root mounts in a mount namespace; anybody else needs a user namespace as well.
    if !may(&["--mount"]) {
        assert!(
            may(&["--map-root-user", "--mount"]),
            "this test needs root or user namespaces, to mount a small file system"
        );
        command.arg("--map-root-user");
    }
    let mount = r#"mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@""#;
    command
        .args(["--mount", "sh", "-c", mount])
        .arg(directory.path());
    command.arg(plain.get_program()).args(plain.get_args());
    command.env("TOKENSMITH_CONFORMANCE_CHILD", role);
    let done = command.output().expect("unshare runs");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && told.contains("told survived"),
        "{done:?}"
    );
}

fn may(flags: &[&str]) -> bool {
    let tried = Command::new("unshare").args(flags).arg("true").output();
    tried.is_ok_and(|tried| tried.status.success())
}
