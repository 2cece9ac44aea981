//! Who has which role, and who may give it.

use tokensmith_store::{RoleAssignment::*, *};

use crate::{actors::*, ground::*};

async fn declare(ground: &Ground, name: &str, permissions: &[&str]) {
    let role = Role {
        name: name.into(),
        description: String::new(),
        permissions: permissions.iter().map(|&one| one.into()).collect(),
        includes: Vec::new(),
    };
    let kind = DeclarationKind::Role;
    let before = ground.store.declaration(kind, name).await.unwrap();
    let declare = ChangeDeclarations {
        changes: vec![DeclarationChange {
            before,
            after: Some(Declaration::Role(role)),
            members: Vec::new(),
        }],
        built_in: permissions.iter().map(|&one| one.into()).collect(),
        revoked_until: NOW + DAY,
        context: at(NOW),
    };
    assert_eq!(ground.store.write(declare).await.unwrap(), Declared::Done);
}

fn assign(user: &UserId, org: Option<&OrganizationId>, role: &str, giver: Giver) -> AssignRole {
    AssignRole {
        user_id: user.clone(),
        org_id: org.cloned(),
        role: role.into(),
        has: true,
        giver,
        revoked_until: NOW + HOUR,
        context: at(NOW),
    }
}

on_both_engines! {
    async fn a_role_is_given_once_and_makes_tokens_stale(ground: &Ground) {
        declare(ground, "editor", &["pages:write"]).await;
        let alice = ground.user("alice").await;
        let give = |has| AssignRole { has, ..assign(&alice, None, "editor", Giver::Operator) };
        let store = &ground.store;
        let is_stale = async || store.is_revoked(RevocationKind::Authority, alice.as_str()).await.unwrap();
        assert_eq!(store.write(give(false)).await.unwrap(), Already);
        assert!(!is_stale().await);
        assert_eq!(store.write(give(true)).await.unwrap(), Done);
        assert_eq!(store.write(give(true)).await.unwrap(), Already);
        assert!(is_stale().await);
        assert_eq!(store.user(&alice).await.unwrap().unwrap().roles, ["user", "editor"]);
        let session = ground.session(&alice).await;
        let standing = store.standing(&alice, &session, None, NOW).await.unwrap().unwrap();
        assert_eq!(standing.stale_at, Some(NOW));
        assert_eq!(store.write(give(false)).await.unwrap(), Done);
        assert_eq!(store.user(&alice).await.unwrap().unwrap().roles, ["user"]);
        assert_eq!((ground.audited("role_assigned").await, ground.audited("role_withdrawn").await), (1, 1));
        let unknown = assign(&alice, None, "ghost", Giver::Operator);
        assert_eq!(store.write(unknown).await.unwrap(), NoSuchRole);
        assert_eq!(store.write(assign(&ground.id(), None, "editor", Giver::Operator)).await.unwrap(), NoSuchUser);
    }

    async fn who_gives_must_hold_it_at_that_moment(ground: &Ground) {
        declare(ground, "editor", &["pages:write"]).await;
        declare(ground, "helpdesk", &[USERS]).await;
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let store = &ground.store;
        let by_alice = || assign(&bob, None, "editor", Giver::User(alice.clone()));
        assert_eq!(store.write(by_alice()).await.unwrap(), NotAllowed);
        for (role, outcome) in [("helpdesk", NotHeld), ("editor", Done)] {
            store.write(assign(&alice, None, role, Giver::Operator)).await.unwrap();
            assert_eq!(store.write(by_alice()).await.unwrap(), outcome);
        }
        let takes = AssignRole { has: false, ..by_alice() };
        let disable = SetUserActive {
            user_id: alice.clone(), is_active: false, revoked_until: NOW + HOUR, context: at(NOW),
        };
        store.write(disable).await.unwrap();
        assert_eq!(store.write(takes).await.unwrap(), NotAllowed);
    }

    async fn roles_of_members_end_with_the_membership(ground: &Ground) {
        declare(ground, "editor", &["pages:write"]).await;
        declare(ground, "organization:owner", &["pages:write"]).await;
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let bob = ground.member(&org, "bob", OrganizationRole::Member).await;
        let stranger = ground.user("stranger").await;
        let store = &ground.store;
        let give = |user: &UserId, giver: &UserId| assign(user, Some(&org), "editor", Giver::User(giver.clone()));
        assert_eq!(store.write(give(&bob, &bob)).await.unwrap(), NotAllowed);
        assert_eq!(store.write(give(&stranger, &alice)).await.unwrap(), NoSuchUser);
        assert_eq!(store.write(give(&bob, &alice)).await.unwrap(), Done);
        let admin = assign(&bob, Some(&org), ADMIN_ROLE, Giver::Operator);
        assert_eq!(store.write(admin).await.unwrap(), NoSuchRole);
        let nowhere = assign(&bob, Some(&ground.id()), "editor", Giver::Operator);
        assert_eq!(store.write(nowhere).await.unwrap(), NoSuchOrganization);
        assert_eq!(store.membership(&org, &bob).await.unwrap().unwrap().roles, ["editor"]);
        assert_eq!(ground.remove_member(&org, &bob, None).await, MembershipChange::Done);
        ground.add_member(&org, &bob, OrganizationRole::Member, None).await;
        assert!(store.membership(&org, &bob).await.unwrap().unwrap().roles.is_empty());
    }

    async fn a_role_that_somebody_has_is_not_removed_and_a_changed_one_makes_tokens_stale(ground: &Ground) {
        declare(ground, "editor", &["pages:write"]).await;
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        ground.store.write(assign(&alice, Some(&org), "editor", Giver::Operator)).await.unwrap();
        let before = ground.store.declaration(DeclarationKind::Role, "editor").await.unwrap();
        let remove = ChangeDeclarations {
            changes: vec![DeclarationChange { before, after: None, members: Vec::new() }],
            built_in: Vec::new(),
            revoked_until: NOW + DAY,
            context: at(NOW),
        };
        assert!(matches!(ground.store.write(remove).await.unwrap(), Declared::Refused(_)));
        let is_stale = async || ground.store.is_revoked(RevocationKind::Role, "editor").await.unwrap();
        assert!(!is_stale().await);
        declare(ground, "editor", &["pages:write"]).await;
        assert!(!is_stale().await, "nothing of it changed");
        declare(ground, "editor", &[]).await;
        assert!(is_stale().await);
    }
}
