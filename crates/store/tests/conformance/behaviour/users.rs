//! Registration, look-up, passwords, disabling.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn change(user: &UserId, old: &str, new: &str, except: Option<&SessionId>) -> ChangePassword {
    ChangePassword {
        user_id: user.clone(),
        old_hash: Some(PasswordHash::new(old.into())),
        new_hash: PasswordHash::new(new.into()),
        except: except.cloned(),
        revoked_until: NOW + HOUR,
        context: at(NOW),
    }
}

fn set_active(user: &UserId, is_active: bool) -> SetUserActive {
    SetUserActive {
        user_id: user.clone(),
        is_active,
        revoked_until: NOW + HOUR,
        context: at(NOW),
    }
}

on_both_engines! {
    async fn a_registered_user_is_found_by_id_address_and_username(ground: &Ground) {
        let id = ground.user("alice").await;
        let store = &ground.store;
        let user = store.user(&id).await.unwrap().expect("alice");
        assert_eq!((user.email.as_str(), user.username.as_deref()), ("alice@example.com", Some("alice")));
        assert_eq!(user.roles, ["user"]);
        assert!(user.is_active);
        assert_eq!(user.created_at, NOW);
        for login in ["alice@example.com", "ALICE@Example.COM", "alice", "Alice"] {
            assert_eq!(store.user_by_login(login).await.unwrap().expect(login).id, id);
        }
        for login in ["bob", "alice@example.com ", "", "al\u{131}ce@example.com", "' OR 1=1--", "alice\0"] {
            assert!(store.user_by_login(login).await.is_ok_and(|found| found.is_none()), "{login}");
        }
        assert_eq!(ground.audited("user_registered").await, 1);
    }

    async fn an_address_or_username_is_taken_whatever_its_case(ground: &Ground) {
        ground.user("alice").await;
        let mut again = ground.registration("other");
        again.email = "Alice@EXAMPLE.com".into();
        assert_eq!(ground.store.write(again).await.unwrap(), UserRegistration::EmailTaken);
        let mut again = ground.registration("other");
        again.username = Some("ALICE".into());
        assert_eq!(ground.store.write(again).await.unwrap(), UserRegistration::UsernameTaken);
        assert_eq!(ground.store.users("", 10).await.unwrap().len(), 1);
        assert_eq!(ground.audited("user_registered").await, 1);
    }

    async fn a_username_that_reads_as_an_address_signs_nobody_in(ground: &Ground) {
        let alice = ground.user("alice").await;
        let mut mallory = ground.registration("mallory");
        mallory.username = Some("alice@example.com".into());
        assert_eq!(ground.store.write(mallory).await.unwrap(), UserRegistration::Created);
        let found = ground.store.user_by_login("alice@example.com").await.unwrap();
        assert_eq!(found.expect("alice").id, alice);
    }

    async fn users_are_listed_in_pages(ground: &Ground) {
        for name in ["a", "b", "c"] {
            ground.user(name).await;
        }
        let first = ground.store.users("", 2).await.unwrap();
        let second = ground.store.users(first[1].id.as_str(), 2).await.unwrap();
        let names: Vec<_> = first.iter().chain(&second).map(|user| user.email.as_str()).collect();
        assert_eq!(names, ["a@example.com", "b@example.com", "c@example.com"]);
    }

    async fn a_changed_password_ends_every_other_session(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        let (here, there) = (ground.session(&alice).await, ground.session(&alice).await);
        let kept = ground.family(&web, Some((&alice, &here))).await;
        let gone = ground.family(&web, Some((&alice, &there))).await;
        let store = &ground.store;
        let ended = store.write(change(&alice, "$argon2id$alice", "$new", Some(&here))).await.unwrap();
        assert_eq!(ended, Some(SessionsEnded { sessions: 1, families: 1 }));
        assert!(store.session(&here).await.unwrap().unwrap().is_live(NOW));
        assert!(!store.session(&there).await.unwrap().unwrap().is_live(NOW));
        assert!(store.refresh_family(&kept).await.unwrap().unwrap().is_live(NOW));
        assert!(!store.refresh_family(&gone).await.unwrap().unwrap().is_live(NOW));
        assert!(store.is_revoked(RevocationKind::Session, there.as_str()).await.unwrap());
        assert!(!store.is_revoked(RevocationKind::Session, here.as_str()).await.unwrap());
        let user = store.user(&alice).await.unwrap().unwrap();
        assert_eq!(user.password_hash.unwrap().as_str(), "$new");
        assert_eq!(user.password_changed_at, Some(NOW));
    }

    async fn a_password_changed_meanwhile_is_not_changed_again(ground: &Ground) {
        let alice = ground.user("alice").await;
        let session = ground.session(&alice).await;
        let store = &ground.store;
        assert_eq!(store.write(change(&alice, "$stale", "$new", None)).await.unwrap(), None);
        assert!(store.session(&session).await.unwrap().unwrap().is_live(NOW));
        let upgrade = |old: &str| UpgradePasswordHash {
            user_id: alice.clone(),
            old_hash: PasswordHash::new(old.into()),
            new_hash: PasswordHash::new("$stronger".into()),
            context: at(NOW),
        };
        assert!(!store.write(upgrade("$stale")).await.unwrap());
        assert!(store.write(upgrade("$argon2id$alice")).await.unwrap());
        assert!(store.session(&session).await.unwrap().unwrap().is_live(NOW));
        assert_eq!(store.user(&alice).await.unwrap().unwrap().password_hash.unwrap().as_str(), "$stronger");
    }

    async fn a_user_without_a_password_gets_one_only_if_there_is_still_none(ground: &Ground) {
        let mut registration = ground.registration("alice");
        registration.password_hash = None;
        let alice = registration.id.clone();
        ground.store.write(registration).await.unwrap();
        let first = |new: &str| ChangePassword { old_hash: None, ..change(&alice, "", new, None) };
        assert!(ground.store.write(first("$one")).await.unwrap().is_some());
        assert!(ground.store.write(first("$two")).await.unwrap().is_none());
    }

    async fn a_disabled_user_has_no_session_no_refresh_token_and_no_token(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        let session = ground.session(&alice).await;
        let family = ground.family(&web, Some((&alice, &session))).await;
        let store = &ground.store;
        assert!(store.write(set_active(&alice, false)).await.unwrap());
        assert!(!store.write(set_active(&alice, false)).await.unwrap(), "only once");
        assert!(!store.session(&session).await.unwrap().unwrap().is_live(NOW));
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "revoked");
        assert!(store.is_revoked(RevocationKind::User, alice.as_str()).await.unwrap());
        assert!(!ground.open_session(&ground.id(), &alice, NOW).await);
        assert!(!ground.open_family(ground.new_family(&web, Some((&alice, &session))), NOW).await);
        assert!(store.write(change(&alice, "$argon2id$alice", "$new", None)).await.unwrap().is_none());

        assert!(store.write(set_active(&alice, true)).await.unwrap());
        assert!(!store.session(&session).await.unwrap().unwrap().is_live(NOW), "nothing comes back");
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "revoked");
        ground.session(&alice).await;
        assert!(!store.write(set_active(&ground.id(), false)).await.unwrap(), "a stranger");
        assert_eq!(ground.audited("user_disabled").await, 1);
        assert_eq!(ground.audited("user_enabled").await, 1);
    }
}
