//! `tokensmith audit`: every kind of tampering by SQL is found, and its place named (row 282, fault F21).

use std::fs;

use rusqlite::Connection;

use crate::running::{Ground, text};

/// A stopped server whose log has some lines and a signed checkpoint at its end.
fn with_a_log() -> Ground {
    let ground = Ground::new();
    let server = ground.dev();
    for _ in 0..20 {
        server.token();
    }
    server.stop();
    ground
}

fn verify(ground: &Ground) -> (Option<i32>, String) {
    let output = ground.run(["audit", "verify"]);
    (output.status.code(), text(&output.stdout))
}

fn tamper(ground: &Ground, sql: &str) {
    Connection::open(ground.database())
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

#[test]
fn an_untouched_log_is_whole_and_signed_to_its_end() {
    let ground = with_a_log();
    let (code, said) = verify(&ground);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the audit log is whole"), "{said}");
    let records: i64 = Connection::open(ground.database())
        .unwrap()
        .query_row("SELECT max(id) FROM audit_log", [], |row| row.get(0))
        .unwrap();
    assert!(
        said.contains(&format!("stream 0: signed up to record {records}")),
        "{said}"
    );
}

#[test]
fn row_282_each_tampering_is_found_and_its_record_named() {
    let rows = [
        (
            "UPDATE audit_log SET body = replace(body, 'test_client', 'nobody') WHERE id = (SELECT max(id) - 3 FROM audit_log)",
            "was changed",
        ),
        (
            "UPDATE audit_log SET event = 'harmless' WHERE id = 5",
            "record 5 was changed",
        ),
        (
            "UPDATE audit_log SET at = at - 1000 WHERE id = 6",
            "record 6 was changed",
        ),
        ("DELETE FROM audit_log WHERE id = 7", "record 7 is missing"),
        (
            "UPDATE audit_log SET id = 900 WHERE id = 8; UPDATE audit_log SET id = 8 WHERE id = 9; UPDATE audit_log SET id = 9 WHERE id = 900",
            "record 8 was changed",
        ),
        (
            "DELETE FROM audit_log WHERE id >= (SELECT max(id) - 4 FROM audit_log)",
            "the log ends at record",
        ),
        (
            "INSERT INTO audit_log (id, at, event, body, hash) SELECT max(id) + 1, max(at), 'e', '{}', x'00' FROM audit_log",
            "was changed",
        ),
        (
            "UPDATE audit_checkpoints SET hash = zeroblob(32)",
            "does not",
        ),
        (
            "UPDATE audit_checkpoints SET statement = statement || 'A'",
            "does not hold",
        ),
    ];
    let whole = with_a_log();
    let copy = whole.path("copy.db");
    Connection::open(whole.database())
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    for (sql, named) in rows {
        let _ = fs::remove_file(whole.data().join("tokensmith.db-wal"));
        fs::copy(&copy, whole.database()).unwrap();
        tamper(&whole, sql);
        let (code, said) = verify(&whole);
        assert_eq!(code, Some(2), "{sql}\n{said}");
        assert!(
            said.contains("BROKEN") && said.contains(named),
            "{sql}\n{said}"
        );
    }
}

#[test]
fn a_log_cut_off_with_its_head_and_checkpoints_is_found_by_an_export_kept_outside() {
    let ground = with_a_log();
    let export = ground.path("audit.jsonl");
    assert!(
        ground
            .run(["audit".as_ref(), "export".as_ref(), export.as_os_str()])
            .status
            .success()
    );
    let against = || {
        ground.run([
            "audit".as_ref(),
            "verify".as_ref(),
            "--against".as_ref(),
            export.as_os_str(),
        ])
    };
    assert_eq!(
        against().status.code(),
        Some(0),
        "{}",
        text(&against().stdout)
    );
    let cut = "DELETE FROM audit_checkpoints; DELETE FROM audit_log WHERE id > 12;
        UPDATE audit_heads SET seq = 12, hash = (SELECT hash FROM audit_log WHERE id = 12)";
    tamper(&ground, cut);
    assert_eq!(
        verify(&ground).0,
        Some(0),
        "without the export nobody can tell"
    );
    let found = against();
    assert_eq!(found.status.code(), Some(2));
    assert!(
        text(&found.stdout).contains("the log ends at record 12"),
        "{}",
        text(&found.stdout)
    );
}

#[test]
fn an_export_holds_every_line_and_every_checkpoint() {
    let ground = with_a_log();
    let lines = text(&ground.run(["audit", "export"]).stdout);
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let issued = |line: &&serde_json::Value| {
        line["record"]
            .as_str()
            .is_some_and(|body| body.contains("\"token_issued\""))
    };
    assert_eq!(lines.iter().filter(issued).count(), 20);
    let checkpoint = lines.last().unwrap()["checkpoint"].as_str().unwrap();
    assert_eq!(checkpoint.split('.').count(), 3);
    assert!(
        !lines
            .iter()
            .any(|line| line.to_string().contains("test_secret"))
    );
}

#[test]
fn it_lists_what_happened_with_who_and_when() {
    let ground = with_a_log();
    let rows = ground.json(["audit", "list", "--json", "--limit", "3"]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!(
            (row["event"].as_str(), row["client_id"].as_str()),
            (Some("token_issued"), Some("test_client"))
        );
        assert!(
            row["at"].is_string() && row["correlation_id"].is_string() && row["ip"] == "127.0.0.1",
            "{row}"
        );
    }
}
