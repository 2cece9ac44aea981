//! Refresh token families: rotation, honest races, theft, endings (RFC 9700 §4.14.2).

use std::time::Duration;

use tokensmith_oauth2::Confirmation;
use tokensmith_store::*;

use crate::{actors::*, ground::*};

const SECOND: Duration = Duration::from_secs(1);

fn jkt(byte: u8) -> Confirmation {
    Confirmation::Jkt([byte; 32].into())
}

fn certificate(byte: u8) -> Confirmation {
    Confirmation::Certificate([byte; 32].into())
}

fn end(scope: FamilyScope) -> EndFamilies {
    EndFamilies {
        scope,
        reason: "revoked_by_client",
        revoked_until: NOW + HOUR,
        context: at(NOW),
    }
}

on_both_engines! {
    async fn a_family_is_kept_as_it_was_opened(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        let session = ground.session(&alice).await;
        let id = ground.family(&web, Some((&alice, &session))).await;
        let family = ground.store.refresh_family(&id).await.unwrap().expect("it is there");
        assert_eq!((&family.client_id, family.user_id.as_ref()), (&web, Some(&alice)));
        assert_eq!((family.session_id.as_ref(), family.generation), (Some(&session), 1));
        assert_eq!(family.scope.to_string(), "read write");
        assert_eq!(family.resources, ["https://api.example.com"]);
        assert!(family.is_live(NOW));
        assert!(!ground.open_family(ground.new_family(&client_id("nobody"), None), NOW).await);
    }

    async fn each_rotation_makes_the_next_generation(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        for presented in 1..=5 {
            let Rotation::Rotated(now) = ground.rotate(&family, presented, NOW + MINUTE).await else {
                panic!("generation {presented} is good");
            };
            assert_eq!(now.generation, presented + 1);
            assert_eq!(now.current_jti, Some(format!("jti-{}", presented + 1)));
            assert_eq!(now.idle_expires_at, NOW + MINUTE + DAY * 7);
        }
        assert_eq!(ground.audited("refresh_token_rotated").await, 5);
    }

    async fn the_predecessor_gets_the_same_successor_while_nothing_was_heard_of_it(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        ground.rotate(&family, 1, NOW).await;
        for _ in 0..3 {
            let Rotation::SameSuccessor(again) = ground.rotate(&family, 1, NOW + SECOND).await else {
                panic!("an honest race");
            };
            assert_eq!((again.generation, again.current_jti.as_deref()), (2, Some("jti-2")));
            assert_eq!(again.rotated_at, NOW, "the bounded time does not grow");
        }
        assert_eq!(word(&ground.rotate(&family, 2, NOW + SECOND).await), "rotated");
        assert_eq!(ground.audited("refresh_token_repeated").await, 3);
    }

    async fn a_predecessor_presented_after_its_successor_was_presented_ends_the_family(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        ground.rotate(&family, 1, NOW).await;
        ground.rotate(&family, 2, NOW).await;
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "replayed");
        for presented in 1..=3 {
            assert_eq!(word(&ground.rotate(&family, presented, NOW).await), "revoked");
        }
        let store = &ground.store;
        assert!(store.is_revoked(RevocationKind::Grant, family.as_str()).await.unwrap());
        assert!(store.is_revoked(RevocationKind::Token, "jti-3").await.unwrap());
        let ended = store.refresh_family(&family).await.unwrap().unwrap();
        assert_eq!(ended.revoked_reason.as_deref(), Some("reuse"));
        assert_eq!(ground.audited("refresh_token_reuse").await, 1);
        assert_eq!(ground.audited("refresh_token_invalid").await, 3);
    }

    async fn a_predecessor_presented_after_the_successors_access_token_was_used_ends_the_family(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        ground.rotate(&family, 1, NOW).await;
        let mark = |jti: &str| MarkSuccessorUsed { family: family.clone(), jti: jti.into(), now: NOW };
        assert!(!ground.store.write(mark("jti-1")).await.unwrap(), "an older access token says nothing");
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "same successor");
        assert!(ground.store.write(mark("jti-2")).await.unwrap());
        assert!(!ground.store.write(mark("jti-2")).await.unwrap(), "only the first use counts");
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "replayed");
    }

    async fn a_use_of_one_access_token_says_nothing_of_the_next(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        ground.rotate(&family, 1, NOW).await;
        let mark = MarkSuccessorUsed { family: family.clone(), jti: "jti-2".into(), now: NOW };
        assert!(ground.store.write(mark).await.unwrap());
        assert_eq!(word(&ground.rotate(&family, 2, NOW).await), "rotated");
        assert_eq!(word(&ground.rotate(&family, 2, NOW).await), "same successor");
    }

    async fn without_grace_a_predecessor_always_ends_the_family(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        let strict = || RotateRefreshToken { grace: Duration::ZERO, ..rotation(&family, 1, NOW) };
        assert_eq!(word(&ground.store.write(strict()).await.unwrap()), "rotated");
        assert_eq!(word(&ground.store.write(strict()).await.unwrap()), "replayed");
    }

    async fn a_token_of_another_client_changes_nothing(ground: &Ground) {
        let web = ground.client("web").await;
        ground.client("evil").await;
        let family = ground.family(&web, None).await;
        ground.rotate(&family, 1, NOW).await;
        for presented in [1, 2] {
            let foreign = RotateRefreshToken {
                client_id: client_id("evil"),
                ..rotation(&family, presented, NOW)
            };
            assert_eq!(word(&ground.store.write(foreign).await.unwrap()), "wrong client");
        }
        assert_eq!(word(&ground.rotate(&family, 2, NOW).await), "rotated");
    }

    async fn a_bound_family_is_rotated_with_its_key_alone_and_ended_by_nobody_else(ground: &Ground) {
        let web = ground.client("web").await;
        let bound = RefreshFamily { confirmation: Some(jkt(1)), ..ground.new_family(&web, None) };
        let family = bound.id.clone();
        assert!(ground.open_family(bound, NOW).await);
        let kept = ground.store.refresh_family(&family).await.unwrap().unwrap();
        assert_eq!(kept.confirmation, Some(jkt(1)));
        let rotate = async |presented, confirmation| {
            let rotation = RotateRefreshToken { confirmation, ..rotation(&family, presented, NOW) };
            word(&ground.store.write(rotation).await.unwrap())
        };
        assert_eq!(rotate(1, Some(jkt(1))).await, "rotated");
        assert_eq!(rotate(2, Some(jkt(1))).await, "rotated");
        for presented in 1..=4 {
            for other in [None, Some(jkt(2)), Some(certificate(1))] {
                assert_eq!(rotate(presented, other).await, "wrong key", "{presented} {other:?}");
            }
        }
        assert_eq!(ground.audited("refresh_token_reuse").await, 0);
        assert_eq!(rotate(3, Some(jkt(1))).await, "rotated");
        assert_eq!(rotate(1, Some(jkt(1))).await, "replayed", "who holds the key and an old token is one of two");
    }

    async fn a_key_that_is_shown_with_an_unbound_family_changes_nothing(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        let shown = RotateRefreshToken { confirmation: Some(jkt(1)), ..rotation(&family, 1, NOW) };
        assert_eq!(word(&ground.store.write(shown).await.unwrap()), "rotated");
        assert_eq!(word(&ground.rotate(&family, 2, NOW).await), "rotated");
        let kept = ground.store.refresh_family(&family).await.unwrap().unwrap();
        assert_eq!(kept.confirmation, None);
    }

    async fn a_generation_that_never_was_is_unknown_and_changes_nothing(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        for presented in [0, -1, 2, i64::MIN, i64::MAX] {
            let rotation = RotateRefreshToken { jti: "j".into(), presented, ..rotation(&family, 1, NOW) };
            assert_eq!(word(&ground.store.write(rotation).await.unwrap()), "unknown", "{presented}");
        }
        assert_eq!(word(&ground.rotate(&ground.id(), 1, NOW).await), "unknown");
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "rotated");
        assert_eq!(ground.audited("refresh_token_invalid").await, 6);
    }

    async fn families_end_by_each_scope(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let (web, app) = (ground.client("web").await, ground.client("app").await);
        let (first, second) = (ground.session(&alice).await, ground.session(&alice).await);
        let his = ground.session(&bob).await;
        let mut families = Vec::new();
        for client in [&web, &app] {
            for (user, session) in [(&alice, &first), (&alice, &second), (&bob, &his)] {
                families.push(ground.family(client, Some((user, session))).await);
            }
        }
        let store = &ground.store;
        let ended = async |scope| store.write(end(scope)).await.unwrap();
        assert_eq!(ended(FamilyScope::Family(families[0].clone())).await, 1);
        assert_eq!(ended(FamilyScope::Family(families[0].clone())).await, 0, "only once");
        assert_eq!(ended(FamilyScope::Session(first.clone())).await, 1);
        assert_eq!(ended(FamilyScope::Grant(alice.clone(), web.clone())).await, 1);
        assert_eq!(ended(FamilyScope::User(alice.clone())).await, 1);
        assert_eq!(ended(FamilyScope::Client(web.clone())).await, 1);
        assert!(store.refresh_family(&families[5]).await.unwrap().unwrap().is_live(NOW));
        assert!(store.session(&first).await.unwrap().unwrap().is_live(NOW), "the session goes on");
        assert_eq!(ground.audited("token_revoked").await, 5);
        let grants = store.revocations_since(0, 99).await.unwrap();
        assert_eq!(grants.iter().filter(|line| line.kind == RevocationKind::Grant).count(), 5);
    }

    async fn a_removed_client_leaves_no_refresh_token_for_its_successor(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        let remove = RemoveClient { client_id: web.clone(), context: at(NOW) };
        assert!(ground.store.write(remove).await.unwrap());
        ground.client("web").await;
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "unknown");
    }
}
