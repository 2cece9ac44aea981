//! What a token about a user rests on.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

async fn disable(ground: &Ground, user: &UserId) {
    let disable = SetUserActive {
        user_id: user.clone(),
        is_active: false,
        revoked_until: NOW + HOUR,
        context: at(NOW),
    };
    assert!(ground.store.write(disable).await.unwrap());
}

on_both_engines! {
    async fn a_user_stands_while_active_and_in_a_live_session(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let (session, ended) = (ground.session(&alice).await, ground.session(&alice).await);
        ground.end_session(&ended, NOW).await;
        let stands = async |user: &UserId, session: &SessionId, now: Timestamp| {
            ground.store.standing(user, session, None, now).await.unwrap()
        };
        let standing = Standing {
            email: "alice@example.com".into(),
            role: None,
            org_roles: Vec::new(),
            roles: vec!["user".into()],
            authentication: Authentication::password(NOW),
            stale_at: None,
        };
        assert_eq!(stands(&alice, &session, NOW).await, Some(standing));
        assert_eq!(stands(&bob, &session, NOW).await, None);
        assert_eq!(stands(&alice, &ended, NOW).await, None);
        assert_eq!(stands(&alice, &ground.id(), NOW).await, None);
        assert!(stands(&alice, &session, NOW + DAY - MINUTE).await.is_some());
        assert_eq!(stands(&alice, &session, NOW + DAY).await, None);
        disable(ground, &alice).await;
        assert_eq!(stands(&alice, &session, NOW).await, None);
    }

    async fn a_role_stands_while_the_membership_does(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let bob = ground.member(&org, "bob", OrganizationRole::Admin).await;
        let session = ground.session(&bob).await;
        let role = async |org: &OrganizationId| {
            let standing = ground.store.standing(&bob, &session, Some(org), NOW).await;
            standing.unwrap().expect("the session is live").role
        };
        assert_eq!(role(&org).await, Some(OrganizationRole::Admin));
        assert_eq!(role(&ground.id()).await, None);
        ground.change_role(&org, &bob, OrganizationRole::Member, None).await;
        assert_eq!(role(&org).await, Some(OrganizationRole::Member));
        ground.remove_member(&org, &bob, None).await;
        assert_eq!(role(&org).await, None);
    }

    async fn the_first_use_of_a_refreshed_token_is_told_until_it_is_noted(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        let session = ground.session(&alice).await;
        let family = ground.family(&web, Some((&alice, &session))).await;
        let shown = async |session: Option<&SessionId>, jti: &str| {
            ground.store.shown_token(&alice, session, jti, NOW).await.unwrap().unwrap()
        };
        let live = |first_use_of| ShownToken { session_is_live: true, first_use_of };
        assert_eq!(shown(Some(&session), "jti-1").await, live(None), "nothing came before it");
        assert_eq!(word(&ground.rotate(&family, 1, NOW).await), "rotated");
        assert_eq!(shown(Some(&session), "jti-1").await, live(None), "no longer the newest");
        assert_eq!(shown(Some(&session), "jti-2").await, live(Some(family.clone())));
        assert!(!shown(None, "jti-2").await.session_is_live);
        let mark = MarkSuccessorUsed { family: family.clone(), jti: "jti-2".into(), now: NOW };
        assert!(ground.store.write(mark).await.unwrap());
        assert_eq!(shown(Some(&session), "jti-2").await, live(None));
        ground.end_session(&session, NOW).await;
        assert!(!shown(Some(&session), "jti-2").await.session_is_live);
        disable(ground, &alice).await;
        assert_eq!(ground.store.shown_token(&alice, None, "jti-2", NOW).await.unwrap(), None);
    }

    async fn what_a_user_belongs_to_comes_in_pages(ground: &Ground) {
        let alice = ground.user("alice").await;
        let mut orgs = Vec::new();
        for name in ["One", "Two", "Three"] {
            orgs.push(ground.organization(name, &alice).await);
        }
        orgs.sort();
        let page = async |after: &str| {
            let found = ground.store.organizations_of(&alice, after, 2).await.unwrap();
            found.into_iter().map(|found| found.organization.id).collect::<Vec<_>>()
        };
        assert_eq!(page("").await, orgs[..2]);
        assert_eq!(page(orgs[1].as_str()).await, orgs[2..]);
        let mut groups = Vec::new();
        for name in ["a", "b", "c"] {
            let group = ground.group(&orgs[0], name).await;
            ground.add_to_group(&group, &alice, None).await;
            groups.push(group);
        }
        groups.sort();
        let after = groups[0].as_str();
        let found = ground.store.groups_of_member(&orgs[0], &alice, after, 10).await.unwrap();
        assert_eq!(found.into_iter().map(|group| group.id).collect::<Vec<_>>(), groups[1..]);
        assert!(ground.store.organization_name_is_taken(" tWO ").await.unwrap());
        assert!(!ground.store.organization_name_is_taken("Four").await.unwrap());
    }
}
