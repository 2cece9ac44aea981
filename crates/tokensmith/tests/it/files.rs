//! Row 322: what is on disk can be read by its owner alone.

use std::{fs, os::unix::process::CommandExt};

use crate::running::{Ground, mode, text, tokensmith};

#[test]
fn row_322_directory_database_log_and_keys_are_for_the_owner_alone() {
    let ground = Ground::new();
    let server = ground.dev();
    server.token();
    assert_eq!(mode(&ground.data()), 0o700);
    let files: Vec<_> = fs::read_dir(ground.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let names: Vec<_> = files
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap())
        .collect();
    for name in [
        "tokensmith.db",
        "tokensmith.db-wal",
        "tokensmith.db-shm",
        "master.key",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    files
        .iter()
        .for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
}

#[test]
fn row_322_backups_and_exports_are_too_whatever_the_umask() {
    let ground = Ground::new();
    let _server = ground.dev();
    let (backup, export) = (ground.path("backup.db"), ground.path("audit.jsonl"));
    for (command, file) in [("backup", &backup), ("audit", &export)] {
        let mut tokensmith = tokensmith();
        tokensmith
            .arg(command)
            .args((command == "audit").then_some("export"))
            .arg(file)
            .arg("--data")
            .arg(ground.data());
        let output = loose(tokensmith).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

/// The same command under a shell that lets everybody read.
fn loose(command: std::process::Command) -> std::process::Command {
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    shell.process_group(0);
    shell
}

#[test]
fn a_master_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let ground = Ground::new();
    drop(ground.dev());
    fs::set_permissions(
        ground.data().join("master.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let output = ground.run(["dev", "--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("chmod 600"),
        "{}",
        text(&output.stderr)
    );
}
