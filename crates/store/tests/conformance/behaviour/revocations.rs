//! The feed of revocations.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn revoke(kind: RevocationKind, subject: &str) -> Revoke {
    Revoke {
        kind,
        subject: subject.into(),
        expires_at: NOW + HOUR,
        names: TokenNames::default(),
        context: at(NOW),
    }
}

on_both_engines! {
    async fn a_revocation_is_found_by_its_kind_and_subject_alone(ground: &Ground) {
        let store = &ground.store;
        assert!(store.write(revoke(RevocationKind::Token, "abc")).await.unwrap());
        assert!(!store.write(revoke(RevocationKind::Token, "abc")).await.unwrap(), "known already");
        assert!(store.is_revoked(RevocationKind::Token, "abc").await.unwrap());
        assert!(!store.is_revoked(RevocationKind::Session, "abc").await.unwrap());
        assert!(!store.is_revoked(RevocationKind::Token, "ABC").await.unwrap());
        assert_eq!(ground.audited("token_revoked").await, 1);
    }

    async fn a_token_is_revoked_by_any_of_its_subjects(ground: &Ground) {
        let store = &ground.store;
        let token = TokenSubjects {
            token: Some("jti"),
            grant: Some("family"),
            session: Some("sid"),
            user: Some("sub"),
            client: Some("web"),
            organization: Some("org"),
            issued_at: NOW,
        };
        let kinds = [
            (RevocationKind::Token, "jti"),
            (RevocationKind::Grant, "family"),
            (RevocationKind::Session, "sid"),
            (RevocationKind::User, "sub"),
            (RevocationKind::Client, "web"),
            (RevocationKind::Organization, "org"),
        ];
        for (kind, subject) in kinds {
            assert!(!store.token_is_revoked(&token).await.unwrap(), "before {kind:?}");
            assert!(store.write(revoke(kind, subject)).await.unwrap());
            assert!(store.token_is_revoked(&token).await.unwrap(), "by {kind:?}");
            ground.sql("DELETE FROM revocations").await;
        }
        assert!(!store.token_is_revoked(&TokenSubjects::default()).await.unwrap());
    }

    async fn a_user_or_client_that_was_revoked_may_get_new_tokens(ground: &Ground) {
        let store = &ground.store;
        store.write(revoke(RevocationKind::User, "sub")).await.unwrap();
        store.write(revoke(RevocationKind::Client, "web")).await.unwrap();
        let issued = |issued_at| TokenSubjects {
            user: Some("sub"),
            client: Some("web"),
            issued_at,
            ..TokenSubjects::default()
        };
        let later = Timestamp::from_millis(NOW.as_millis() + 1);
        assert!(store.token_is_revoked(&issued(NOW)).await.unwrap());
        assert!(!store.token_is_revoked(&issued(later)).await.unwrap());
        let again = Revoke { context: at(later), ..revoke(RevocationKind::User, "sub") };
        assert!(store.write(again).await.unwrap(), "news, because it reaches further");
    }

    async fn the_feed_is_read_from_a_cursor_in_order(ground: &Ground) {
        let store = &ground.store;
        for number in 0..5 {
            store.write(revoke(RevocationKind::Token, &format!("t{number}"))).await.unwrap();
        }
        let first = store.revocations_since(0, 3).await.unwrap();
        let rest = store.revocations_since(first[2].id, 99).await.unwrap();
        let subjects: Vec<_> = first.iter().chain(&rest).map(|line| line.subject.as_str()).collect();
        assert_eq!(subjects, ["t0", "t1", "t2", "t3", "t4"]);
        assert!(store.revocations_since(rest[1].id, 99).await.unwrap().is_empty());
    }

    async fn the_cursor_never_goes_back_after_a_sweep(ground: &Ground) {
        let store = &ground.store;
        store.write(revoke(RevocationKind::Token, "t1")).await.unwrap();
        let before = store.revocations_since(0, 9).await.unwrap()[0].id;
        let sweep = Sweep { expired: Expired::Revocations, before: NOW + DAY, limit: 10 };
        assert_eq!(store.write(sweep).await.unwrap(), 1);
        store.write(revoke(RevocationKind::Token, "t2")).await.unwrap();
        let newest = store.revocations_since(0, 9).await.unwrap()[0].id;
        assert!(newest > before);
        assert_eq!(store.revocation_cursor().await.unwrap(), newest);
    }

    async fn a_sweep_stops_at_its_limit(ground: &Ground) {
        let store = &ground.store;
        for number in 0..5 {
            store.write(revoke(RevocationKind::Token, &format!("t{number}"))).await.unwrap();
        }
        let sweep = || Sweep { expired: Expired::Revocations, before: NOW + DAY, limit: 2 };
        for removed in [2, 2, 1, 0] {
            assert_eq!(store.write(sweep()).await.unwrap(), removed);
        }
    }
}
