//! The audit log: what is written, in which order it is read, and that it comes with what it records or not at all.

use std::time::Duration;

use tokensmith_store::*;

use crate::{actors::*, ground::*};

const MS: Duration = Duration::from_millis(1);

fn line(at_: Timestamp, event: AuditEvent) -> AppendAudit {
    AppendAudit {
        context: at(at_),
        event,
        durability: Durability::CrashSafe,
    }
}

/// Does something, then fails.
struct Fails;

impl Operation for Fails {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let _ = AppendAudit {
            context: at(NOW),
            event: AuditEvent::new("never"),
            durability: Durability::PowerSafe,
        }
        .run(tx)
        .await;
        ReleaseLease {
            name: "kept",
            holder: "a".into(),
        }
        .run(tx)
        .await?;
        Err(StoreError::Corrupt("on purpose".into()))
    }
}

/// Panics in the middle of its transaction.
struct Panics;

impl Operation for Panics {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        ReleaseLease {
            name: "kept",
            holder: "a".into(),
        }
        .run(tx)
        .await?;
        panic!("on purpose");
    }
}

on_both_engines! {
    async fn lines_are_read_by_user_by_grant_and_newest_first(ground: &Ground) {
        let store = &ground.store;
        for minute in 0..70 {
            let event = AuditEvent::new("token_issued").user(format!("u{}", minute % 2)).grant("g");
            store.write(line(NOW + MINUTE * minute, event)).await.unwrap();
        }
        let times = |lines: Vec<AuditRecord>| lines.iter().map(|line| line.at).collect::<Vec<_>>();
        let newest = times(store.audit_newest(3).await.unwrap());
        assert_eq!(newest, [69, 68, 67].map(|minute| NOW + MINUTE * minute));
        let of_user = times(store.audit_of_user("u1", 2).await.unwrap());
        assert_eq!(of_user, [69, 67].map(|minute| NOW + MINUTE * minute));
        let of_grant = times(store.audit_of_grant("g", 2).await.unwrap());
        assert_eq!(of_grant, [0, 1].map(|minute| NOW + MINUTE * minute));
        let mut page = AuditPage { after: 0, limit: 30 };
        let mut seen = 0;
        while let Some(last) = store.audit_page(page).await.unwrap().last() {
            seen += store.audit_page(page).await.unwrap().len();
            page.after = last.id();
        }
        assert_eq!(seen, 70);
        assert_eq!(store.verify_audit().await.unwrap(), (70, Vec::new()));
    }

    async fn an_operation_that_fails_leaves_neither_row_nor_line(ground: &Ground) {
        let take = |holder: &str| TakeLease { name: "kept", holder: holder.into(), span: MINUTE, now: NOW };
        ground.store.write(take("a")).await.unwrap();
        let failed = ground.store.write(Fails).await;
        assert!(matches!(failed, Err(StoreError::Corrupt(_))), "{failed:?}");
        assert_eq!(ground.store.write(take("b")).await.unwrap(), Lease::Taken);
        assert_eq!(ground.audited("never").await, 0);
    }

    async fn lines_written_beside_an_operation_that_fails_stay_in_the_chain(ground: &Ground) {
        let store = &ground.store;
        for _ in 0..100 {
            let (first, failed) = tokio::join!(store.write(line(NOW, AuditEvent::new("beside"))), store.write(Fails));
            assert!(first.is_ok() && failed.is_err());
            // Another process, or this one after a crash, goes on from what is stored.
            assert_eq!(store.verify().await.unwrap(), []);
        }
        assert_eq!(ground.audited("beside").await, 100);
    }

    async fn an_operation_that_panics_leaves_the_store_at_work(ground: &Ground) {
        let take = |holder: &str| TakeLease { name: "kept", holder: holder.into(), span: MINUTE, now: NOW };
        ground.store.write(take("a")).await.unwrap();
        let store = std::sync::Arc::clone(&ground.store);
        let outcome = tokio::spawn(async move { store.write(Panics).await }).await;
        assert!(!matches!(outcome, Ok(Ok(()))));
        assert_eq!(ground.store.write(take("b")).await.unwrap(), Lease::Taken);
        ground.store.ping().await.expect("it answers");
    }

    async fn a_refusal_writes_no_line_of_success(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let lines = ground.store.audit_newest(99).await.unwrap().len();
        ground.remove_member(&org, &alice, None).await;
        ground.add_member(&org, &alice, OrganizationRole::Admin, None).await;
        assert_eq!(ground.store.audit_newest(99).await.unwrap().len(), lines);
    }

    async fn a_checkpoint_speaks_only_of_what_is_there(ground: &Ground) {
        ground.user("alice").await;
        let store = &ground.store;
        let grown = store.heads_without_checkpoint().await.unwrap();
        assert_eq!(grown.len(), 1);
        let record = |head: &ChainHead| RecordCheckpoint {
            checkpoint: AuditCheckpoint { head: head.clone(), at: NOW, statement: "a.b.c".into() },
        };
        let mut invented = grown[0].clone();
        invented.hash = [7; 32];
        assert!(!store.write(record(&invented)).await.unwrap());
        assert!(store.write(record(&grown[0])).await.unwrap());
        assert!(!store.write(record(&grown[0])).await.unwrap(), "only once");
        assert!(store.heads_without_checkpoint().await.unwrap().is_empty());
        assert_eq!(store.audit_checkpoints().await.unwrap()[0].head, grown[0]);
        assert_eq!(store.verify_audit_against(&grown).await.unwrap().1, []);
    }
}

on_both_engines! {
    async fn noted_lines_are_counted_by_day_and_read_by_kind_newest_first(ground: &Ground) {
        let store = &ground.store;
        let day = |time: Timestamp| Timestamp::from_millis(time.as_millis() / 86_400_000 * 86_400_000);
        for (event, time, times) in [
            ("login_success", NOW, 3),
            ("login_failure", NOW, 2),
            ("login_failure", NOW + DAY, 4),
            ("token_issued", NOW, 5),
        ] {
            for millis in 0..times {
                let time = time + MS * millis;
                store.write(line(time, AuditEvent::new(event))).await.unwrap();
            }
        }
        let of = |event: &str, time, count| DayOfEvents { event: event.to_owned(), day: day(time), count };
        let counted = store.noted_by_day(NOW).await.unwrap();
        assert_eq!(counted, [of("login_failure", NOW, 2), of("login_failure", NOW + DAY, 4), of("login_success", NOW, 3)]);
        assert_eq!(store.noted_by_day(NOW + DAY).await.unwrap(), [of("login_failure", NOW + DAY, 4)]);
        let times = async |window, limit| -> Vec<Timestamp> {
            let found = store.noted("login_failure", window, limit).await.unwrap();
            found.iter().map(|record| record.at).collect()
        };
        assert_eq!(times((NOW, NOW + DAY), 10).await, [NOW + MS, NOW]);
        assert_eq!(times((NOW, NOW + DAY * 2), 1).await, [NOW + DAY + MS * 3]);
        assert!(store.noted("token_issued", (NOW, NOW + DAY), 10).await.unwrap().is_empty());
    }
}
