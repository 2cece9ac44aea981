//! Part three: boundaries, to the millisecond. An instant of expiry is the first at which a thing is over.

use std::time::Duration;

use tokensmith_store::*;

use crate::{actors::*, ground::*};

const MS: Duration = Duration::from_millis(1);

on_both_engines! {
    async fn a_session_is_live_until_the_instant_it_expires(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        let session = ground.session(&alice).await;
        let end = NOW + DAY;
        let found = ground.store.session(&session).await.unwrap().unwrap();
        assert!(found.is_live(end - MS) && !found.is_live(end));
        assert_eq!(ground.store.sessions_of(&alice, end - MS, 9).await.unwrap().len(), 1);
        assert_eq!(ground.store.sessions_of(&alice, end, 9).await.unwrap().len(), 0);
        let family = || ground.new_family(&web, Some((&alice, &session)));
        assert!(!ground.open_family(family(), end).await);
        assert!(ground.open_family(family(), end - MS).await);
    }

    async fn a_refresh_token_is_good_until_its_idle_time_ends(ground: &Ground) {
        let web = ground.client("web").await;
        let idle = NOW + DAY * 7;
        let family = ground.family(&web, None).await;
        assert_eq!(word(&ground.rotate(&family, 1, idle).await), "expired");
        assert_eq!(word(&ground.rotate(&family, 1, idle + DAY).await), "expired");
        assert_eq!(word(&ground.rotate(&family, 1, idle - MS).await), "rotated");
        assert_eq!(word(&ground.rotate(&family, 2, idle).await), "rotated", "busy families go on");
    }

    async fn a_refresh_token_is_good_until_its_family_ends_however_busy(ground: &Ground) {
        let web = ground.client("web").await;
        let mut family = ground.new_family(&web, None);
        (family.expires_at, family.idle_expires_at) = (NOW + DAY, NOW + DAY * 7);
        let id = family.id.clone();
        assert!(ground.open_family(family, NOW).await);
        let stored = ground.store.refresh_family(&id).await.unwrap().unwrap();
        assert_eq!(stored.idle_expires_at, NOW + DAY, "idle time never reaches beyond the end");
        assert_eq!(word(&ground.rotate(&id, 1, NOW + DAY - MS).await), "rotated");
        assert_eq!(word(&ground.rotate(&id, 2, NOW + DAY).await), "expired");
        assert_eq!(word(&ground.rotate(&id, 1, NOW + DAY).await), "expired", "nor again");
    }

    async fn a_predecessor_is_honest_for_its_bounded_time_and_not_longer(ground: &Ground) {
        let web = ground.client("web").await;
        let grace = Duration::from_secs(10);
        for (later, expected) in [(Duration::ZERO, "same successor"), (grace - MS, "same successor"), (grace, "replayed")] {
            let family = ground.family(&web, None).await;
            ground.rotate(&family, 1, NOW).await;
            assert_eq!(word(&ground.rotate(&family, 1, NOW + later).await), expected, "{later:?}");
        }
    }

    async fn a_clock_set_back_makes_no_spent_token_good_again(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        ground.rotate(&family, 1, NOW + HOUR).await;
        ground.rotate(&family, 2, NOW + HOUR).await;
        assert_eq!(word(&ground.rotate(&family, 1, NOW + HOUR - MINUTE).await), "replayed");
        // Its end lies before its beginning now; that is the clock's doing.
        ground.sql("UPDATE refresh_families SET revoked_at = rotated_at").await;
    }

    async fn a_lease_is_free_at_the_instant_it_expires(ground: &Ground) {
        let take = |holder: &str, now| TakeLease { name: "sweep", holder: holder.into(), span: MINUTE, now };
        let store = &ground.store;
        assert_eq!(store.write(take("a", NOW)).await.unwrap(), Lease::Held);
        assert_eq!(store.write(take("b", NOW + MINUTE - MS)).await.unwrap(), Lease::Taken);
        assert_eq!(store.write(take("b", NOW + MINUTE)).await.unwrap(), Lease::Held);
        assert_eq!(store.write(take("a", NOW + MINUTE)).await.unwrap(), Lease::Taken);
    }

    async fn a_private_key_is_erased_at_the_instant_it_stops_signing(ground: &Ground) {
        let add = |kid, from| AddSigningKey {
            key: signing_key(kid, from),
            unless_signing_after: from - HOUR,
            predecessors_sign_until: from,
            predecessors_published_until: from + HOUR,
            context: at(NOW),
        };
        let store = &ground.store;
        assert!(store.write(add("k1", NOW)).await.unwrap());
        assert!(store.write(add("k2", NOW + DAY)).await.unwrap());
        let erase = |now| EraseSigningKey { context: at(now) };
        assert_eq!(store.write(erase(NOW + DAY - MS)).await.unwrap(), 0);
        assert_eq!(store.write(erase(NOW + DAY)).await.unwrap(), 1);
        let keys = store.signing_keys().await.unwrap();
        assert!(keys[0].sealed_private.is_none() && keys[1].sealed_private.is_some());
    }

    async fn a_sweep_takes_only_what_was_over_before(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        ground.session(&alice).await;
        ground.family(&web, None).await;
        let ended = ground.family(&web, None).await;
        let store = &ground.store;
        let jti = UseJti {
            kind: JtiKind::ClientAssertion,
            owner: "web".into(),
            jti: "one".into(),
            expires_at: NOW + MINUTE,
        };
        assert_eq!(store.write(jti).await.unwrap(), JtiUse::First);
        let end = EndFamilies {
            scope: FamilyScope::Family(ended),
            reason: "logout",
            revoked_until: NOW + HOUR,
            context: at(NOW),
        };
        assert_eq!(store.write(end).await.unwrap(), 1);
        // The ended family's grant and its newest access token.
        let edges = [
            (Expired::Revocations, NOW + HOUR, 2),
            (Expired::Sessions, NOW + DAY, 1),
            (Expired::EndedRefreshFamilies, NOW, 1),
            (Expired::RefreshFamilies, NOW + DAY * 30, 1),
            (Expired::UsedJtis, NOW + MINUTE, 1),
        ];
        for (expired, edge, rows) in edges {
            let sweep = |before| Sweep { expired, before, limit: 100 };
            assert_eq!(store.write(sweep(edge)).await.unwrap(), 0, "{expired:?}");
            assert_eq!(store.write(sweep(edge + MS)).await.unwrap(), rows, "{expired:?}");
        }
    }
}
