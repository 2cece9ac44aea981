//! Invitations: sent by who may, accepted once by whom they are for.

use tokensmith_store::*;

use crate::{actors::*, ground::*, races::race_writes};

fn mail(ground: &Ground) -> Mail {
    Mail {
        id: ground.id(),
        template: "invitation",
        recipient: "bob@example.com".into(),
        sealed: vec![1],
        expires_at: NOW + DAY,
    }
}

fn invite(ground: &Ground, org: &OrganizationId, by: &UserId, digest: u8) -> InviteMember {
    InviteMember {
        invitation: Invitation {
            id: ground.id(),
            org_id: org.clone(),
            email: "Bob@example.com".into(),
            role: OrganizationRole::Member,
            created_at: NOW,
            created_by: Some(by.clone()),
            expires_at: NOW + DAY,
        },
        digest: vec![digest; 32],
        mail: mail(ground),
        context: at(NOW),
    }
}

fn accept(user: &UserId, digest: u8, now: Timestamp) -> AcceptInvitation {
    AcceptInvitation {
        digest: vec![digest; 32],
        user_id: user.clone(),
        context: at(now),
    }
}

on_both_engines! {
    async fn an_invitation_is_accepted_by_its_address_alone_and_once(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let store = &ground.store;
        assert_eq!(store.write(invite(ground, &org, &alice, 1)).await.unwrap(), Inviting::Invited);
        assert_eq!(store.invitations(&org, NOW, "", 10).await.unwrap().len(), 1);
        let (bob, carol) = (ground.user("bob").await, ground.user("carol").await);
        assert_eq!(store.write(accept(&carol, 1, NOW)).await.unwrap(), Acceptance::NotGood);
        assert_eq!(store.write(accept(&bob, 2, NOW)).await.unwrap(), Acceptance::NotGood);
        assert_eq!(store.write(accept(&bob, 1, NOW + DAY)).await.unwrap(), Acceptance::NotGood);
        let joined = Acceptance::Joined(org.clone(), OrganizationRole::Member);
        assert_eq!(store.write(accept(&bob, 1, NOW + DAY - MINUTE)).await.unwrap(), joined);
        assert_eq!(store.write(accept(&bob, 1, NOW)).await.unwrap(), Acceptance::NotGood);
        assert_eq!(store.write(invite(ground, &org, &alice, 3)).await.unwrap(), Inviting::AlreadyMember);
        assert!(store.invitations(&org, NOW, "", 10).await.unwrap().is_empty());
        assert_eq!((ground.audited("member_invited").await, ground.audited("invitation_accepted").await), (1, 1));
    }

    async fn only_managers_invite_and_take_back_and_what_they_sent_ends_with_their_right(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let admin = ground.member(&org, "admin", OrganizationRole::Admin).await;
        let member = ground.member(&org, "member", OrganizationRole::Member).await;
        let bob = ground.user("bob").await;
        let store = &ground.store;
        assert_eq!(store.write(invite(ground, &org, &member, 1)).await.unwrap(), Inviting::NotAllowed);
        assert_eq!(store.write(invite(ground, &ground.id(), &admin, 1)).await.unwrap(), Inviting::NoSuchOrganization);
        let owner = invite(ground, &org, &admin, 1);
        let owner = InviteMember {
            invitation: Invitation { role: OrganizationRole::Owner, ..owner.invitation },
            ..invite(ground, &org, &admin, 1)
        };
        assert_eq!(store.write(owner).await.unwrap(), Inviting::NotAllowed);
        assert_eq!(store.write(invite(ground, &org, &admin, 1)).await.unwrap(), Inviting::Invited);
        assert_eq!(store.write(invite(ground, &org, &admin, 2)).await.unwrap(), Inviting::Invited);
        assert_eq!(store.write(accept(&bob, 1, NOW)).await.unwrap(), Acceptance::NotGood, "replaced");
        ground.change_role(&org, &admin, OrganizationRole::Member, None).await;
        assert_eq!(store.write(accept(&bob, 2, NOW)).await.unwrap(), Acceptance::NotGood);
        store.write(invite(ground, &org, &alice, 3)).await.unwrap();
        let open = store.invitations(&org, NOW, "", 10).await.unwrap();
        let revoke = |actor: &UserId, org: &OrganizationId| RevokeInvitation {
            id: open[0].id.clone(), org_id: org.clone(), actor: Some(actor.clone()), context: at(NOW),
        };
        let other = ground.organization("Other", &alice).await;
        assert_eq!(store.write(revoke(&member, &org)).await.unwrap(), None);
        assert_eq!(store.write(revoke(&alice, &other)).await.unwrap(), Some(false));
        assert_eq!(store.write(revoke(&alice, &org)).await.unwrap(), Some(true));
        assert_eq!(store.write(accept(&bob, 3, NOW)).await.unwrap(), Acceptance::NotGood);
    }

    async fn of_many_acceptances_at_once_one_joins(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        ground.store.write(invite(ground, &org, &alice, 1)).await.unwrap();
        let bob = ground.user("bob").await;
        let answers = race_writes(ground, 20, |_| accept(&bob, 1, NOW)).await;
        let joined = answers.iter().filter(|answer| matches!(answer, Acceptance::Joined(..)));
        assert_eq!(joined.count(), 1);
    }
}
