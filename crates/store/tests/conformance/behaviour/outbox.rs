//! Mail that waits to be sent.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn mail(ground: &Ground) -> Mail {
    Mail {
        id: ground.id(),
        template: "verify_email",
        recipient: "alice@example.com".into(),
        sealed: b"sealed".to_vec(),
        expires_at: NOW + HOUR,
    }
}

async fn put(ground: &Ground, mail: &Mail) {
    let put = PutMail {
        mail: mail.clone(),
        now: NOW,
    };
    ground.store.write(put).await.unwrap();
}

async fn claim(ground: &Ground, now: Timestamp, limit: i64) -> Vec<ClaimedMail> {
    let claim = ClaimMail {
        now,
        span: MINUTE,
        limit,
    };
    ground.store.write(claim).await.unwrap()
}

async fn settle(ground: &Ground, mail: &ClaimedMail, delivery: Delivery) -> bool {
    let settle = SettleMail {
        id: mail.id.clone(),
        attempt: mail.attempt,
        delivery,
        error: Some("451 later".into()),
        now: NOW,
    };
    ground.store.write(settle).await.unwrap()
}

on_both_engines! {
    async fn a_mail_is_claimed_once_until_its_claim_runs_out(ground: &Ground) {
        let mail = mail(ground);
        put(ground, &mail).await;
        let first = claim(ground, NOW, 10).await;
        assert_eq!((first.len(), first[0].attempt), (1, 1));
        assert_eq!((&first[0].id, &first[0].recipient, &first[0].sealed), (&mail.id, &mail.recipient, &mail.sealed));
        assert_eq!(claim(ground, NOW, 10).await, []);
        let second = claim(ground, NOW + MINUTE, 10).await;
        assert_eq!(second[0].attempt, 2);
        assert!(!settle(ground, &first[0], Delivery::Sent).await, "an old claim says nothing");
        assert!(settle(ground, &second[0], Delivery::Sent).await);
        assert!(!settle(ground, &second[0], Delivery::Sent).await);
        assert_eq!(claim(ground, NOW + DAY, 10).await, []);
    }

    async fn an_event_makes_one_mail_also_after_it_was_sent(ground: &Ground) {
        let mail = mail(ground);
        for _ in 0..3 {
            put(ground, &mail).await;
            for claimed in claim(ground, NOW, 10).await {
                assert!(settle(ground, &claimed, Delivery::Sent).await);
            }
        }
        assert_eq!(ground.store.mail_queue().await.unwrap(), MailQueue::default());
        put(ground, &Mail { id: ground.id(), ..mail }).await;
        assert_eq!(claim(ground, NOW, 10).await.len(), 1);
    }

    async fn a_mail_comes_again_when_it_was_said_to(ground: &Ground) {
        put(ground, &mail(ground)).await;
        let claimed = claim(ground, NOW, 10).await;
        assert!(settle(ground, &claimed[0], Delivery::Later(NOW + HOUR)).await);
        let queue = MailQueue { waiting: 1, due_at: Some(NOW + HOUR) };
        assert_eq!(ground.store.mail_queue().await.unwrap(), queue);
        assert_eq!(claim(ground, NOW + MINUTE * 5, 10).await, []);
        let again = claim(ground, NOW + HOUR, 10).await;
        assert_eq!(again[0].attempt, 2);
        assert!(settle(ground, &again[0], Delivery::Dead).await);
        assert_eq!(claim(ground, NOW + DAY, 10).await, []);
    }

    async fn claims_at_once_take_every_mail_once(ground: &Ground) {
        for _ in 0..40 {
            put(ground, &mail(ground)).await;
        }
        let mut claims = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let store = ground.store.clone();
            claims.spawn(async move {
                store.write(ClaimMail { now: NOW, span: MINUTE, limit: 5 }).await.unwrap()
            });
        }
        let claimed: Vec<ClaimedMail> = claims.join_all().await.into_iter().flatten().collect();
        let ids: std::collections::BTreeSet<_> = claimed.iter().map(|mail| mail.id.clone()).collect();
        assert_eq!(ids.len(), claimed.len(), "no mail is claimed twice");
        let rest = claim(ground, NOW, 100).await;
        assert_eq!(claimed.len() + rest.len(), 40);
    }

    async fn mail_is_swept_when_it_has_expired_sent_or_not(ground: &Ground) {
        put(ground, &mail(ground)).await;
        put(ground, &mail(ground)).await;
        let claimed = claim(ground, NOW, 1).await;
        assert!(settle(ground, &claimed[0], Delivery::Sent).await);
        let sweep = |before| Sweep { expired: Expired::Mail, before, limit: 10 };
        assert_eq!(ground.store.write(sweep(NOW + HOUR)).await.unwrap(), 0);
        assert_eq!(ground.store.write(sweep(NOW + DAY)).await.unwrap(), 2);
    }
}
