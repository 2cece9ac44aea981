//! Organizations, their members, and who may change them.

use tokensmith_store::{MembershipChange::*, OrganizationRole::*, *};

use crate::{actors::*, ground::*};

on_both_engines! {
    async fn an_organization_begins_with_its_owner(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let store = &ground.store;
        let found = store.organization(&org).await.unwrap().expect("it is there");
        assert_eq!((found.name.as_str(), found.created_by.as_ref()), ("Activity", Some(&alice)));
        assert_eq!(store.membership(&org, &alice).await.unwrap().unwrap().role, Owner);
        let mine = store.organizations_of(&alice, "", 10).await.unwrap();
        assert_eq!((mine.len(), &mine[0].organization.id, mine[0].role), (1, &org, Owner));
        assert!(store.organization(&ground.id()).await.unwrap().is_none());
        assert_eq!(store.organizations("", 10).await.unwrap(), [found]);
    }

    async fn a_name_is_taken_whatever_its_case(ground: &Ground) {
        let alice = ground.user("alice").await;
        ground.organization("Activity", &alice).await;
        let create = |name: &str, owner: &UserId| CreateOrganization {
            id: ground.id(),
            name: name.into(),
            owner: owner.clone(),
            context: at(NOW),
        };
        let store = &ground.store;
        assert_eq!(store.write(create(" aCTIVITY", &alice)).await.unwrap(), OrganizationCreation::NameTaken);
        assert_eq!(store.write(create("Other", &ground.id())).await.unwrap(), OrganizationCreation::NoSuchOwner);
        assert_eq!(store.organizations("", 10).await.unwrap().len(), 1);
        assert_eq!(ground.audited("organization_created").await, 1);
    }

    async fn members_are_listed_with_their_addresses_in_pages(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        ground.member(&org, "bob", Member).await;
        ground.member(&org, "carol", Admin).await;
        let first = ground.store.members(&org, "", 2).await.unwrap();
        let after = first[1].membership.user_id.as_str();
        let second = ground.store.members(&org, after, 2).await.unwrap();
        let all: Vec<_> = first.iter().chain(&second).map(|m| (m.email.as_str(), m.membership.role)).collect();
        assert_eq!(all, [("alice@example.com", Owner), ("bob@example.com", Member), ("carol@example.com", Admin)]);
    }

    async fn the_default_organization_is_that_of_the_oldest_membership(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        assert!(ground.store.default_membership(&bob).await.unwrap().is_none());
        let org = ground.organization("Activity", &alice).await;
        ground.organization("Globex", &bob).await;
        let add = AddMember {
            org_id: org,
            user_id: bob.clone(),
            role: Member,
            actor: None,
            context: at(NOW + DAY),
        };
        assert_eq!(ground.store.write(add).await.unwrap(), Done);
        let default = ground.store.default_membership(&bob).await.unwrap().expect("a membership");
        assert_eq!(default.role, Owner);
        let first = ground.store.organizations_of(&bob, "", 1).await.unwrap();
        let after = first[0].organization.id.as_str();
        let rest = ground.store.organizations_of(&bob, after, 9).await.unwrap();
        let names = [&first[0], &rest[0]].map(|of| (of.organization.name.as_str(), of.role));
        assert_eq!(names, [("Activity", Member), ("Globex", Owner)]);
    }

    async fn a_member_is_added_once_and_only_if_both_exist(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let org = ground.organization("Activity", &alice).await;
        assert_eq!(ground.add_member(&org, &bob, Member, Some(&alice)).await, Done);
        assert_eq!(ground.add_member(&org, &bob, Admin, Some(&alice)).await, AlreadyMember);
        assert_eq!(ground.add_member(&org, &ground.id(), Member, None).await, NoSuchUser);
        assert_eq!(ground.add_member(&ground.id(), &bob, Member, None).await, NoSuchOrganization);
        let membership = ground.store.membership(&org, &bob).await.unwrap().unwrap();
        assert_eq!((membership.role, membership.added_by), (Member, Some(alice)));
        assert_eq!(ground.audited("member_added").await, 1);
    }

    async fn what_an_actor_may_do_follows_from_their_role(ground: &Ground) {
        let owner = ground.user("owner").await;
        let org = ground.organization("Activity", &owner).await;
        let admin = ground.member(&org, "admin", Admin).await;
        let member = ground.member(&org, "member", Member).await;
        let stranger = ground.user("stranger").await;
        let other = ground.user("other").await;
        for actor in [&member, &stranger] {
            assert_eq!(ground.add_member(&org, &other, Member, Some(actor)).await, NotAllowed);
            assert_eq!(ground.change_role(&org, &admin, Member, Some(actor)).await, NotAllowed);
            assert_eq!(ground.change_role(&org, actor, Owner, Some(actor)).await, NotAllowed);
            assert_eq!(ground.remove_member(&org, &admin, Some(actor)).await, NotAllowed);
        }
        assert_eq!(ground.add_member(&org, &other, Owner, Some(&admin)).await, NotAllowed);
        assert_eq!(ground.change_role(&org, &member, Owner, Some(&admin)).await, NotAllowed);
        assert_eq!(ground.change_role(&org, &owner, Admin, Some(&admin)).await, NotAllowed);
        assert_eq!(ground.remove_member(&org, &owner, Some(&admin)).await, NotAllowed);
        assert_eq!(ground.add_member(&org, &other, Admin, Some(&admin)).await, Done);
        assert_eq!(ground.change_role(&org, &other, Member, Some(&admin)).await, Done);
        assert_eq!(ground.change_role(&org, &stranger, Member, Some(&admin)).await, NotMember);
        assert_eq!(ground.remove_member(&org, &other, Some(&admin)).await, Done);
        assert_eq!(ground.change_role(&org, &admin, Owner, Some(&owner)).await, Done);
        assert_eq!(ground.remove_member(&org, &owner, Some(&admin)).await, Done);
        assert_eq!(ground.remove_member(&org, &member, Some(&member)).await, Done, "members may leave");
        assert_eq!(ground.remove_member(&org, &stranger, Some(&stranger)).await, NotAllowed);
    }

    async fn an_owner_of_one_organization_is_nobody_in_another(ground: &Ground) {
        let (alice, mallory) = (ground.user("alice").await, ground.user("mallory").await);
        let org = ground.organization("Activity", &alice).await;
        ground.organization("Globex", &mallory).await;
        assert_eq!(ground.add_member(&org, &mallory, Member, Some(&mallory)).await, NotAllowed);
        assert_eq!(ground.remove_member(&org, &alice, Some(&mallory)).await, NotAllowed);
    }

    async fn a_disabled_user_may_change_nothing(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let org = ground.organization("Activity", &alice).await;
        let disable = SetUserActive {
            user_id: alice.clone(),
            is_active: false,
            revoked_until: NOW + HOUR,
            context: at(NOW),
        };
        assert!(ground.store.write(disable).await.unwrap());
        assert_eq!(ground.add_member(&org, &bob, Member, Some(&alice)).await, NotAllowed);
    }

    async fn the_last_owner_can_be_neither_removed_nor_demoted(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let bob = ground.member(&org, "bob", Admin).await;
        for actor in [None, Some(&alice)] {
            assert_eq!(ground.remove_member(&org, &alice, actor).await, LastOwner);
            assert_eq!(ground.change_role(&org, &alice, Admin, actor).await, LastOwner);
            assert_eq!(ground.change_role(&org, &alice, Owner, actor).await, Done, "stays what she is");
        }
        assert_eq!(ground.change_role(&org, &bob, Owner, Some(&alice)).await, Done);
        assert_eq!(ground.change_role(&org, &alice, Member, Some(&alice)).await, Done);
        assert_eq!(ground.remove_member(&org, &bob, Some(&bob)).await, LastOwner);
    }

    async fn a_removed_member_leaves_the_groups_of_that_organization_alone(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let elsewhere = ground.organization("Globex", &alice).await;
        let bob = ground.member(&org, "bob", Member).await;
        ground.add_member(&elsewhere, &bob, Member, None).await;
        let (here, there) = (ground.group(&org, "G").await, ground.group(&elsewhere, "G").await);
        for group in [&here, &there] {
            assert_eq!(ground.add_to_group(group, &bob, None).await, GroupChange::Done);
        }
        assert_eq!(ground.remove_member(&org, &bob, Some(&alice)).await, Done);
        assert_eq!(ground.remove_member(&org, &bob, Some(&alice)).await, NotMember);
        assert!(!ground.store.is_group_member(&here, &bob).await.unwrap());
        assert!(ground.store.is_group_member(&there, &bob).await.unwrap());
    }
}
