//! Cookies of browser sessions: found while the session is live, replaced by whoever has the present one.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

const FIRST: CookieDigest = CookieDigest([1; 32]);
const SECOND: CookieDigest = CookieDigest([2; 32]);
const THIRD: CookieDigest = CookieDigest([3; 32]);

async fn set(
    ground: &Ground,
    session: &SessionId,
    previous: Option<CookieDigest>,
    cookie: CookieDigest,
) -> bool {
    let set = SetBrowserCookie {
        session_id: session.clone(),
        previous,
        cookie,
        context: at(NOW),
    };
    ground.store.write(set).await.unwrap()
}

async fn found(ground: &Ground, cookie: CookieDigest, now: Timestamp) -> Option<SessionId> {
    ground.store.browser_session(cookie, now).await.unwrap()
}

on_both_engines! {
    async fn a_cookie_opens_its_session_until_it_is_replaced(ground: &Ground) {
        let alice = ground.user("alice").await;
        let session = ground.session(&alice).await;
        assert_eq!(found(ground, FIRST, NOW).await, None);
        assert!(set(ground, &session, None, FIRST).await);
        assert_eq!(found(ground, FIRST, NOW).await.as_ref(), Some(&session));
        assert!(!set(ground, &session, None, SECOND).await, "a session has one cookie");
        assert!(set(ground, &session, Some(FIRST), SECOND).await);
        assert_eq!(found(ground, FIRST, NOW).await, None);
        assert_eq!(found(ground, SECOND, NOW).await.as_ref(), Some(&session));
        assert!(!set(ground, &session, Some(FIRST), THIRD).await, "the old one is of no use");
        assert_eq!(ground.audited("browser_session_set").await, 2);
    }

    async fn a_cookie_ends_with_its_session_and_its_user(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let (ended, disabled) = (ground.session(&alice).await, ground.session(&bob).await);
        assert!(set(ground, &ended, None, FIRST).await && set(ground, &disabled, None, SECOND).await);
        assert_eq!(found(ground, FIRST, NOW + DAY * 400).await, None, "expired");
        ground.end_session(&ended, NOW).await;
        assert_eq!(found(ground, FIRST, NOW).await, None);
        assert!(!set(ground, &ended, Some(FIRST), THIRD).await);
        let disable = SetUserActive {
            user_id: bob,
            is_active: false,
            revoked_until: NOW + HOUR,
            context: at(NOW),
        };
        assert!(ground.store.write(disable).await.unwrap());
        assert_eq!(found(ground, SECOND, NOW).await, None);
        assert!(!set(ground, &ground.id(), None, THIRD).await, "a session that never was");
        let sweep = Sweep { expired: Expired::Sessions, before: NOW + DAY * 400, limit: 10 };
        assert_eq!(ground.store.write(sweep).await.unwrap(), 2);
        let again = ground.session(&alice).await;
        assert!(set(ground, &again, None, FIRST).await, "the swept session took its cookie along");
    }

    async fn of_many_who_replace_a_cookie_at_once_one_wins(ground: &Ground) {
        let alice = ground.user("alice").await;
        let session = ground.session(&alice).await;
        assert!(set(ground, &session, None, FIRST).await);
        let replacing = (10..26).map(|byte| {
            let store = ground.store.clone();
            let set = SetBrowserCookie {
                session_id: session.clone(),
                previous: Some(FIRST),
                cookie: CookieDigest([byte; 32]),
                context: at(NOW),
            };
            tokio::spawn(async move { store.write(set).await.unwrap() })
        });
        let mut winners = 0;
        for replaced in replacing.collect::<Vec<_>>() {
            winners += usize::from(replaced.await.unwrap());
        }
        assert_eq!(winners, 1);
    }
}
