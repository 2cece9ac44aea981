//! Groups, their members, and who may change them.

use tokensmith_store::{GroupChange::*, OrganizationRole as Role, *};

use crate::{actors::*, ground::*};

fn update(id: &GroupId, name: Option<&str>, actor: Option<&UserId>) -> UpdateGroup {
    UpdateGroup {
        id: id.clone(),
        name: name.map(Into::into),
        description: None,
        actor: actor.cloned(),
        context: at(NOW + HOUR),
    }
}

fn remove(id: &GroupId, actor: Option<&UserId>) -> RemoveGroup {
    RemoveGroup {
        id: id.clone(),
        actor: actor.cloned(),
        context: at(NOW),
    }
}

fn take_out(group: &GroupId, user: &UserId, actor: Option<&UserId>) -> RemoveGroupMember {
    RemoveGroupMember {
        group_id: group.clone(),
        user_id: user.clone(),
        actor: actor.cloned(),
        context: at(NOW),
    }
}

on_both_engines! {
    async fn a_group_is_created_changed_and_removed(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let store = &ground.store;
        let id: GroupId = ground.id();
        assert_eq!(ground.create_group(&id, &org, "E2E Test Group", Some(&alice)).await, Done);
        let group = store.group(&id).await.unwrap().expect("it is there");
        assert_eq!((&group.org_id, group.name.as_str()), (&org, "E2E Test Group"));
        assert_eq!(group.created_by.as_ref(), Some(&alice));

        assert_eq!(store.write(update(&id, Some("Renamed"), Some(&alice))).await.unwrap(), Done);
        let renamed = store.group(&id).await.unwrap().unwrap();
        assert_eq!((renamed.name.as_str(), renamed.description), ("Renamed", group.description));
        assert_eq!((renamed.created_at, renamed.updated_at), (NOW, NOW + HOUR));

        ground.add_to_group(&id, &alice, None).await;
        assert_eq!(store.write(remove(&id, Some(&alice))).await.unwrap(), Done);
        assert_eq!(store.write(remove(&id, Some(&alice))).await.unwrap(), NoSuchGroup);
        assert!(store.group(&id).await.unwrap().is_none());
        assert!(!store.is_group_member(&id, &alice).await.unwrap());
        assert_eq!(ground.audited("group_removed").await, 1);
    }

    async fn a_name_is_taken_in_its_organization_only(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let elsewhere = ground.organization("Globex", &alice).await;
        let first = ground.group(&org, "Team").await;
        let second = ground.group(&org, "Crew").await;
        assert_eq!(ground.create_group(&ground.id(), &org, "TEAM", None).await, NameTaken);
        assert_eq!(ground.create_group(&ground.id(), &elsewhere, "Team", None).await, Done);
        assert_eq!(ground.create_group(&ground.id(), &ground.id(), "Team", None).await, NoSuchOrganization);
        let store = &ground.store;
        assert_eq!(store.write(update(&second, Some("team"), None)).await.unwrap(), NameTaken);
        assert_eq!(store.write(update(&first, Some("team"), None)).await.unwrap(), Done, "its own name");
    }

    async fn groups_are_listed_by_organization_and_by_member(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let elsewhere = ground.organization("Globex", &alice).await;
        let (a, b) = (ground.group(&org, "A").await, ground.group(&org, "B").await);
        let other = ground.group(&elsewhere, "A").await;
        for group in [&b, &other] {
            ground.add_to_group(group, &alice, None).await;
        }
        let store = &ground.store;
        let page = store.groups_of_organization(&org, "", 1).await.unwrap();
        let rest = store.groups_of_organization(&org, page[0].id.as_str(), 9).await.unwrap();
        assert_eq!((&page[0].id, &rest[0].id, rest.len()), (&a, &b, 1));
        let mine = store.groups_of_member(&org, &alice, "", 9).await.unwrap();
        assert_eq!(mine.iter().map(|group| &group.id).collect::<Vec<_>>(), [&b]);
    }

    async fn only_members_of_the_organization_get_into_a_group(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let group = ground.group(&org, "Team").await;
        let bob = ground.member(&org, "bob", Role::Member).await;
        let mallory = ground.user("mallory").await;
        assert_eq!(ground.add_to_group(&group, &bob, Some(&alice)).await, Done);
        assert_eq!(ground.add_to_group(&group, &bob, Some(&alice)).await, AlreadyMember);
        assert_eq!(ground.add_to_group(&group, &mallory, Some(&alice)).await, NotInOrganization);
        assert_eq!(ground.add_to_group(&group, &ground.id(), Some(&alice)).await, NotInOrganization);
        assert_eq!(ground.add_to_group(&ground.id(), &bob, Some(&alice)).await, NoSuchGroup);
        let members = ground.store.group_members(&group, "", 9).await.unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!((members[0].email.as_str(), &members[0].added_by), ("bob@example.com", &Some(alice)));
        assert!(ground.store.group_members(&group, bob.as_str(), 9).await.unwrap().is_empty());
    }

    async fn only_admins_change_groups_and_members_may_leave(ground: &Ground) {
        let owner = ground.user("owner").await;
        let org = ground.organization("Activity", &owner).await;
        let admin = ground.member(&org, "admin", Role::Admin).await;
        let member = ground.member(&org, "member", Role::Member).await;
        let mallory = ground.user("mallory").await;
        ground.organization("Globex", &mallory).await;
        let group = ground.group(&org, "Team").await;
        let store = &ground.store;
        for actor in [&member, &mallory] {
            let actor = Some(actor);
            assert_eq!(ground.create_group(&ground.id(), &org, "Mine", actor).await, NotAllowed);
            assert_eq!(ground.add_to_group(&group, &member, actor).await, NotAllowed);
            assert_eq!(store.write(update(&group, Some("Mine"), actor)).await.unwrap(), NotAllowed);
            assert_eq!(store.write(remove(&group, actor)).await.unwrap(), NotAllowed);
            assert_eq!(store.write(take_out(&group, &owner, actor)).await.unwrap(), NotAllowed);
        }
        assert_eq!(ground.add_to_group(&group, &member, Some(&admin)).await, Done);
        assert_eq!(store.write(take_out(&group, &member, Some(&member))).await.unwrap(), Done);
        assert_eq!(store.write(take_out(&group, &member, Some(&member))).await.unwrap(), NotMember);
        assert_eq!(store.write(update(&group, None, Some(&admin))).await.unwrap(), Done);
        assert_eq!(store.write(remove(&group, Some(&admin))).await.unwrap(), Done);
    }
}
