//! The audit log against hands that write SQL: each way of changing it is found, at the first record it touched.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

const LINES: i64 = 20;

/// Writes lines, and returns the stream that holds the tenth and its number there.
async fn write_lines(ground: &Ground) -> (i64, i64) {
    for number in 0..LINES * 64 {
        let append = AppendAudit {
            context: at(NOW),
            event: AuditEvent::new("token_issued").user("u").field("n", number),
            durability: Durability::CrashSafe,
        };
        ground.store.write(append).await.expect("an answer");
        if ground.store.engine_name() == "sqlite" && number == LINES - 1 {
            break;
        }
    }
    let heads = ground.store.audit_heads().await.unwrap();
    assert!(heads.iter().all(|head| head.seq == LINES), "{heads:?}");
    (heads.last().expect("a stream").stream, 10)
}

fn id(stream: i64, seq: i64) -> i64 {
    (stream << 40) + seq
}

async fn faults(ground: &Ground) -> Vec<AuditFault> {
    let (_, faults) = ground.store.verify_audit().await.unwrap();
    let broken = ground.store.verify().await.unwrap();
    assert_eq!(broken.len(), faults.len(), "verify reports them, too");
    faults
}

on_both_engines! {
    async fn an_untouched_log_has_no_fault(ground: &Ground) {
        write_lines(ground).await;
        assert_eq!(faults(ground).await, []);
    }

    async fn a_deleted_record_is_found(ground: &Ground) {
        let (stream, seq) = write_lines(ground).await;
        ground.tamper(&format!("DELETE FROM audit_log WHERE id = {}", id(stream, seq))).await;
        let gap = AuditFault::Gap { stream, expected: 10, found: 11 };
        assert_eq!(gap.seq(), seq);
        assert_eq!(faults(ground).await, [gap]);
    }

    async fn an_edited_column_is_found(ground: &Ground) {
        for (column, value) in [
            ("body", "replace(body, 'token_issued', 'token_revoked')"),
            ("event", "'token_revoked'"),
            ("user_id", "'mallory'"),
            ("user_id", "NULL"),
            ("grant_id", "'g'"),
            ("at", "at + 1"),
            ("at", "9223372036854775807"),
        ] {
            let (stream, seq) = write_lines_once(ground).await;
            let keep = format!("CREATE TABLE kept AS SELECT * FROM audit_log WHERE id = {}", id(stream, seq));
            ground.sql(&keep).await;
            ground.tamper(&format!("UPDATE audit_log SET {column} = {value} WHERE id = {}", id(stream, seq))).await;
            let changed = AuditFault::Changed { stream, seq };
            assert_eq!((changed.seq(), faults(ground).await), (seq, vec![changed]), "{column}");
            let restore = format!(
                "DELETE FROM audit_log WHERE id = {}; INSERT INTO audit_log SELECT * FROM kept; DROP TABLE kept",
                id(stream, seq)
            );
            ground.sql(&restore).await;
            assert_eq!(faults(ground).await, [], "restored");
        }
    }

    async fn a_forged_hash_is_found_at_the_next_record_at_the_latest(ground: &Ground) {
        let (stream, seq) = write_lines(ground).await;
        let other = format!("(SELECT hash FROM audit_log WHERE id = {})", id(stream, seq - 1));
        ground.tamper(&format!("UPDATE audit_log SET hash = {other} WHERE id = {}", id(stream, seq))).await;
        assert_eq!(faults(ground).await, [AuditFault::Changed { stream, seq }]);
    }

    async fn two_records_in_each_others_place_are_found(ground: &Ground) {
        let (stream, seq) = write_lines(ground).await;
        let (a, b) = (id(stream, seq), id(stream, seq + 3));
        ground
            .tamper(&format!(
                "UPDATE audit_log SET id = -1 WHERE id = {a}; UPDATE audit_log SET id = {a} WHERE id = {b};
                UPDATE audit_log SET id = {b} WHERE id = -1"
            ))
            .await;
        assert_eq!(faults(ground).await, [AuditFault::Changed { stream, seq }]);
    }

    async fn a_log_cut_off_at_its_end_is_found(ground: &Ground) {
        let (stream, _) = write_lines(ground).await;
        ground
            .tamper(&format!("DELETE FROM audit_log WHERE id > {} AND id < {}", id(stream, 15), id(stream + 1, 0)))
            .await;
        let cut = AuditFault::Truncated { stream, expected: 20, found: 15 };
        assert_eq!((cut.seq(), faults(ground).await), (16, vec![cut]));
    }

    async fn a_log_emptied_is_found(ground: &Ground) {
        write_lines(ground).await;
        ground.tamper("DELETE FROM audit_log").await;
        let faults = faults(ground).await;
        assert_eq!(faults.len(), ground.store.audit_heads().await.unwrap().len());
        assert!(faults.iter().all(|fault| fault.seq() == 1));
    }

    async fn a_log_cut_off_together_with_its_head_is_found_by_a_checkpoint(ground: &Ground) {
        let (stream, _) = write_lines(ground).await;
        let heads = ground.store.audit_heads().await.unwrap();
        for head in &heads {
            let checkpoint = AuditCheckpoint { head: head.clone(), at: NOW, statement: "a.b.c".into() };
            assert!(ground.store.write(RecordCheckpoint { checkpoint }).await.unwrap());
        }
        ground
            .tamper(&format!(
                "DELETE FROM audit_log WHERE id > {} AND id < {};
                UPDATE audit_heads SET seq = 15, hash = (SELECT hash FROM audit_log WHERE id = {}) WHERE stream = {stream}",
                id(stream, 15), id(stream + 1, 0), id(stream, 15)
            ))
            .await;
        let cut = AuditFault::Truncated { stream, expected: 20, found: 15 };
        assert_eq!(faults(ground).await, std::slice::from_ref(&cut));
        ground.tamper("DELETE FROM audit_checkpoints").await;
        assert_eq!(faults(ground).await, [], "nothing inside says so any more");
        assert_eq!(ground.store.verify_audit_against(&heads).await.unwrap().1, [cut], "the one held outside does");
    }

    async fn records_beyond_the_head_are_found(ground: &Ground) {
        let (stream, _) = write_lines(ground).await;
        let head = ground.store.audit_heads().await.unwrap().pop().unwrap();
        let body = r#"{"event":"forged","at":"2027-01-15T08:00:00.000Z"}"#;
        let forged = head.next(body);
        let hash: String = forged.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let bytes = if ground.store.engine_name() == "sqlite" {
            format!("x'{hash}'")
        } else {
            format!("decode('{hash}', 'hex')")
        };
        let append = format!(
            "INSERT INTO audit_log (id, at, event, body, hash) VALUES ({}, {}, 'forged', '{body}', {bytes})",
            id(stream, 21), NOW.as_millis()
        );
        ground.tamper(&append).await;
        assert_eq!(faults(ground).await, [AuditFault::Appended { stream, seq: 21 }]);
        ground.tamper(&format!("DELETE FROM audit_heads WHERE stream = {stream}")).await;
        assert_eq!(faults(ground).await, [AuditFault::Appended { stream, seq: 1 }], "no head at all");
    }

    async fn records_in_a_stream_of_nobody_are_found(ground: &Ground) {
        write_lines(ground).await;
        let body = "'{}', (SELECT hash FROM audit_heads LIMIT 1)";
        for foreign in [-5, id(3000, 0), id(3000, 7)] {
            ground
                .tamper(&format!("INSERT INTO audit_log (id, at, event, body, hash) VALUES ({foreign}, 0, 'e', {body})"))
                .await;
            assert_eq!(faults(ground).await.len(), 1, "{foreign}");
            ground.tamper(&format!("DELETE FROM audit_log WHERE id = {foreign}")).await;
        }
    }

    async fn a_chain_computed_anew_is_found_by_its_head(ground: &Ground) {
        let (stream, _) = write_lines(ground).await;
        ground.tamper(&format!("UPDATE audit_heads SET hash = (SELECT hash FROM audit_log WHERE id = {}) WHERE stream = {stream}", id(stream, 3))).await;
        assert_eq!(faults(ground).await, [AuditFault::CheckpointDiffers { stream, seq: LINES }]);
    }
}

async fn write_lines_once(ground: &Ground) -> (i64, i64) {
    match ground.store.audit_heads().await.unwrap().last() {
        Some(head) => (head.stream, 10),
        None => write_lines(ground).await,
    }
}
