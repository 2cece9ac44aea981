//! Sessions: opened, listed, ended.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn end_all(user: &UserId, except: Option<&SessionId>) -> EndSessionsOf {
    EndSessionsOf {
        user_id: user.clone(),
        except: except.cloned(),
        reason: "logout",
        revoked_until: NOW + HOUR,
        context: at(NOW),
    }
}

on_both_engines! {
    async fn an_opened_session_is_a_login(ground: &Ground) {
        let alice = ground.user("alice").await;
        let id = ground.session(&alice).await;
        let session = ground.store.session(&id).await.unwrap().expect("it is there");
        assert_eq!((&session.user_id, session.ip.as_deref()), (&alice, Some("192.0.2.1")));
        assert_eq!((session.created_at, session.last_used_at), (NOW, NOW));
        assert!(session.is_live(NOW));
        assert_eq!(ground.store.user(&alice).await.unwrap().unwrap().last_login_at, Some(NOW));
        assert_eq!(ground.audited("login_success").await, 1);
        assert!(!ground.open_session(&ground.id(), &ground.id(), NOW).await, "a stranger");
        assert!(ground.store.session(&ground.id()).await.unwrap().is_none());
    }

    async fn live_sessions_are_listed_newest_first_with_their_last_use(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let web = ground.client("web").await;
        let ids: Vec<SessionId> = (0..4).map(|_| ground.id()).collect();
        for (minutes, id) in (0..4).zip(&ids) {
            assert!(ground.open_session(id, &alice, NOW + MINUTE * minutes).await);
        }
        ground.session(&bob).await;
        ground.end_session(&ids[1], NOW + HOUR).await;
        let family = ground.family(&web, Some((&alice, &ids[0]))).await;
        ground.rotate(&family, 1, NOW + HOUR).await;
        let listed = ground.store.sessions_of(&alice, NOW + HOUR, 10).await.unwrap();
        let found: Vec<_> = listed.iter().map(|session| &session.id).collect();
        assert_eq!(found, [&ids[3], &ids[2], &ids[0]]);
        assert_eq!(listed[2].last_used_at, NOW + HOUR);
        assert_eq!(ground.store.sessions_of(&alice, NOW + HOUR, 2).await.unwrap().len(), 2);
    }

    async fn a_session_that_rests_too_long_is_over_and_one_that_is_used_is_not(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        let open = async |id: &SessionId| {
            let idle = Some(std::time::Duration::from_secs(3600));
            let open = OpenSession { id: id.clone(), idle, ..new_session(&alice, NOW) };
            ground.store.write(open).await.unwrap()
        };
        let (resting, rotating, touched) = (ground.id(), ground.id(), ground.id());
        for id in [&resting, &rotating, &touched] {
            open(id).await;
        }
        let family = ground.family(&web, Some((&alice, &rotating))).await;
        let later = NOW + MINUTE * 50;
        ground.rotate(&family, 1, later).await;
        let touch = |now| TouchSession { id: touched.clone(), now };
        assert!(ground.store.write(touch(later)).await.unwrap());
        assert!(!ground.store.write(touch(later + MINUTE / 2)).await.unwrap(), "once a minute");
        let store = &ground.store;
        for (id, now, is_live) in [
            (&resting, NOW + HOUR - MINUTE, true),
            (&resting, NOW + HOUR, false),
            (&rotating, NOW + HOUR, true),
            (&touched, NOW + HOUR, true),
            (&rotating, later + HOUR, false),
            (&touched, later + HOUR, false),
        ] {
            assert_eq!(store.session(id).await.unwrap().unwrap().is_live(now), is_live, "{now}");
            assert_eq!(store.standing(&alice, id, None, now).await.unwrap().is_some(), is_live, "{now}");
            let shown = store.shown_token(&alice, Some(id), "jti", now).await.unwrap().unwrap();
            assert_eq!(shown.session_is_live, is_live, "{now}");
        }
        assert_eq!(store.sessions_of(&alice, NOW + HOUR, 10).await.unwrap().len(), 2);
    }

    async fn a_device_is_new_when_the_user_signed_in_before_and_never_on_it(ground: &Ground) {
        let alice = ground.user("alice").await;
        let mut seen = Vec::new();
        for device in ["Firefox on Linux", "Firefox on Linux", "Safari on iOS", "Safari on iOS"] {
            let open = OpenSession { id: ground.id(), device: device.into(), ..new_session(&alice, NOW) };
            seen.push(ground.store.write(open).await.unwrap());
        }
        let opened = |is_new_device| SessionOpening::Opened { is_new_device };
        assert_eq!(seen, [opened(false), opened(false), opened(true), opened(false)]);
    }

    async fn a_session_remembers_how_and_when_its_user_was_authenticated(ground: &Ground) {
        let alice = ground.user("alice").await;
        let session = ground.session(&alice).await;
        let read = async || ground.store.session(&session).await.unwrap().unwrap().authentication;
        assert_eq!(read().await, Authentication::password(NOW));
        let proved = Authentication::password(NOW).and("otp", NOW + MINUTE);
        let renew = |now| RenewAuthentication { id: session.clone(), authentication: proved.clone(), context: at(now) };
        assert!(ground.store.write(renew(NOW + MINUTE)).await.unwrap());
        assert_eq!(read().await, proved);
        let standing = ground.store.standing(&alice, &session, None, NOW + MINUTE).await.unwrap();
        assert_eq!(standing.unwrap().authentication, proved);
        ground.end_session(&session, NOW + HOUR).await;
        assert!(!ground.store.write(renew(NOW + HOUR)).await.unwrap(), "it is over");
    }

    async fn an_ended_session_takes_its_refresh_tokens_along(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        let session = ground.session(&alice).await;
        let other = ground.session(&alice).await;
        let family = ground.family(&web, Some((&alice, &session))).await;
        let kept = ground.family(&web, Some((&alice, &other))).await;
        let ended = ground.end_session(&session, NOW).await;
        assert_eq!(ended, SessionsEnded { sessions: 1, families: 1 });
        assert_eq!(ground.end_session(&session, NOW).await, SessionsEnded::default(), "only once");
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "revoked");
        assert_eq!(word(&ground.rotate(&kept, 1, NOW).await), "rotated");
        let store = &ground.store;
        assert!(store.is_revoked(RevocationKind::Session, session.as_str()).await.unwrap());
        let found = store.session(&session).await.unwrap().unwrap();
        assert_eq!((found.ended_at, found.ended_reason.as_deref()), (Some(NOW), Some("logout")));
        assert!(!ground.open_family(ground.new_family(&web, Some((&alice, &session))), NOW).await);
        assert_eq!(ground.audited("session_ended").await, 1);
    }

    async fn whatever_ends_a_session_leaves_a_line_for_it_and_for_each_of_its_families(ground: &Ground) {
        let web = ground.client("web").await;
        let store = &ground.store;
        for (name, reason) in [("alice", "logout"), ("bob", "all"), ("carol", "user_disabled"), ("dora", "password_changed")] {
            let user = ground.user(name).await;
            let session = ground.session(&user).await;
            let family = ground.family(&web, Some((&user, &session))).await;
            match reason {
                "logout" => drop(ground.end_session(&session, NOW).await),
                "all" => drop(store.write(EndSessionsOf { reason: "all", ..end_all(&user, None) }).await.unwrap()),
                "user_disabled" => {
                    let (revoked_until, context) = (NOW + HOUR, at(NOW));
                    let disable = SetUserActive { user_id: user.clone(), is_active: false, revoked_until, context };
                    assert!(store.write(disable).await.unwrap());
                }
                _ => {
                    let change = ChangePassword {
                        user_id: user.clone(),
                        old_hash: Some(PasswordHash::new(format!("$argon2id${name}"))),
                        new_hash: PasswordHash::new("$argon2id$new".into()),
                        except: None,
                        revoked_until: NOW + HOUR,
                        context: at(NOW),
                    };
                    assert!(store.write(change).await.unwrap().is_some());
                }
            }
            let member = format!("\"reason\":\"{reason}\"");
            for (grant, event) in [(session.as_str(), "session_ended"), (family.as_str(), "token_revoked")] {
                // All of one instant, and of streams that count for themselves: which is the newest is not said.
                let lines = store.newest_audit_of_grant(grant, 9).await.unwrap();
                let found: Vec<_> = lines.iter().filter(|line| line.event == event).collect();
                assert_eq!(found.len(), 1, "{event}");
                assert_eq!(found[0].user_id.as_deref(), Some(user.as_str()));
                assert!(found[0].body.contains(&member), "{}", found[0].body);
            }
            assert_eq!(store.families_in_session(&session, user.as_str(), 9).await.unwrap(), [family]);
        }
    }

    async fn the_families_of_a_session_are_known_after_their_rows_were_swept(ground: &Ground) {
        let (web, alice) = (ground.client("web").await, ground.user("alice").await);
        let (session, other) = (ground.session(&alice).await, ground.session(&alice).await);
        let family = ground.family(&web, Some((&alice, &session))).await;
        ground.family(&web, Some((&alice, &other))).await;
        let sweep = Sweep { expired: Expired::RefreshFamilies, before: NOW + DAY * 40, limit: 10 };
        assert_eq!(ground.store.write(sweep).await.unwrap(), 2);
        let found = ground.store.families_in_session(&session, alice.as_str(), 9).await.unwrap();
        assert_eq!(found, [family]);
    }

    async fn nobody_ends_the_session_of_another(ground: &Ground) {
        let (alice, mallory) = (ground.user("alice").await, ground.user("mallory").await);
        let session = ground.session(&alice).await;
        let end = |user: &UserId| EndSession {
            id: session.clone(),
            user_id: Some(user.clone()),
            reason: "ended_by_user",
            revoked_until: NOW + HOUR,
            context: at(NOW),
        };
        assert_eq!(ground.store.write(end(&mallory)).await.unwrap().sessions, 0);
        assert!(ground.store.session(&session).await.unwrap().unwrap().is_live(NOW));
        assert_eq!(ground.store.write(end(&alice)).await.unwrap().sessions, 1);
    }

    async fn all_sessions_of_a_user_end_but_one(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let web = ground.client("web").await;
        let here = ground.session(&alice).await;
        for _ in 0..3 {
            let session = ground.session(&alice).await;
            ground.family(&web, Some((&alice, &session))).await;
        }
        let mut alone = ground.new_family(&web, None);
        alone.user_id = Some(alice.clone());
        let alone_id = alone.id.clone();
        assert!(ground.open_family(alone, NOW).await);
        let kept = ground.family(&web, Some((&alice, &here))).await;
        let his = ground.session(&bob).await;
        let store = &ground.store;
        let ended = store.write(end_all(&alice, Some(&here))).await.unwrap();
        assert_eq!(ended, SessionsEnded { sessions: 3, families: 4 });
        assert_eq!(store.sessions_of(&alice, NOW, 9).await.unwrap().len(), 1);
        assert!(store.session(&his).await.unwrap().unwrap().is_live(NOW));
        assert!(store.refresh_family(&kept).await.unwrap().unwrap().is_live(NOW));
        let feed = store.revocations_since(0, 10).await.unwrap();
        assert_eq!(feed.len(), 4, "a line for each session, and for the family without one");
        assert_eq!((feed[3].kind, feed[3].subject.as_str()), (RevocationKind::Grant, alone_id.as_str()));
        assert_eq!(store.write(end_all(&alice, None)).await.unwrap(), SessionsEnded { sessions: 1, families: 1 });
        assert_eq!(store.write(end_all(&alice, None)).await.unwrap(), SessionsEnded::default());
    }
}
