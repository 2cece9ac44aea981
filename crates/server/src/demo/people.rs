//! The demo people: two organizations, three users with one password, one group.

use futures_util::future::try_join_all;
use tokensmith_store::{
    AddGroupMember, AddMember, AuditContext, CreateGroup, CreateOrganization, GroupId,
    OrganizationId, OrganizationRole, PasswordHash, RegisterUser, UserId, UserRegistration,
};

use super::{hash, unusable};
use crate::app::{App, StartError};

/// The password of all demo users.
pub const PASSWORD: &str = "correct horse battery staple";
/// The group of the first organization that holds all its demo users.
pub const GROUP: &str = "E2E Test Group";

/// A demo user.
#[derive(Clone, Copy, Debug)]
pub struct DemoUser {
    /// The address to sign in with.
    pub email: &'static str,
    /// The username to sign in with.
    pub username: &'static str,
    /// Roles over the whole server.
    pub roles: &'static [&'static str],
    /// The organization the user belongs to.
    pub organization: &'static str,
    /// The role there.
    pub role: OrganizationRole,
}

/// The demo users; an organization's owner comes before its members.
pub const USERS: [DemoUser; 3] = [
    DemoUser {
        email: "alice.admin@example.com",
        username: "alice",
        roles: &["admin"],
        organization: "Activity",
        role: OrganizationRole::Owner,
    },
    DemoUser {
        email: "bob@example.com",
        username: "bob",
        roles: &[],
        organization: "Activity",
        role: OrganizationRole::Member,
    },
    DemoUser {
        email: "mallory@example.com",
        username: "mallory",
        roles: &[],
        organization: "Globex",
        role: OrganizationRole::Owner,
    },
];

/// Users first, then the organizations of the owners, then memberships and the group.
pub(super) async fn register(app: &App, context: &AuditContext) -> Result<(), StartError> {
    let ids = try_join_all(USERS.iter().map(|demo| user(app, demo, context))).await?;
    let users: Vec<_> = USERS.iter().zip(ids).collect();
    for (owner, id) in users
        .iter()
        .filter(|(demo, _)| demo.role == OrganizationRole::Owner)
    {
        let org = organization(app, owner.organization, id, context).await?;
        let there = || {
            users
                .iter()
                .filter(|(demo, _)| demo.organization == owner.organization)
        };
        for (demo, id) in there().filter(|(demo, _)| demo.role != OrganizationRole::Owner) {
            let (org_id, user_id) = (org.clone(), id.clone());
            let add = AddMember {
                org_id,
                user_id,
                role: demo.role,
                actor: None,
                context: context.clone(),
            };
            app.store().write(add).await?;
        }
        if owner.organization == USERS[0].organization {
            group(app, &org, there().map(|(_, id)| id), context).await?;
        }
    }
    Ok(())
}

async fn user(app: &App, demo: &DemoUser, context: &AuditContext) -> Result<UserId, StartError> {
    let id = UserId::from(app.entropy().uuid(context.at));
    let register = RegisterUser {
        id: id.clone(),
        email: demo.email.to_owned(),
        username: Some(demo.username.to_owned()),
        password_hash: Some(PasswordHash::new(hash(app, PASSWORD).await?)),
        roles: demo.roles.iter().map(|&role| role.to_owned()).collect(),
        context: context.clone(),
    };
    match app.store().write(register).await? {
        UserRegistration::Created => Ok(id),
        UserRegistration::EmailTaken | UserRegistration::UsernameTaken => {
            let there = app.store().user_by_login(demo.email).await?;
            there
                .map(|user| user.id)
                .ok_or_else(|| unusable(format!("the username {} is taken", demo.username)))
        }
    }
}

/// The owner's organization of this name, made if there is none.
async fn organization(
    app: &App,
    name: &str,
    owner: &UserId,
    context: &AuditContext,
) -> Result<OrganizationId, StartError> {
    let id = OrganizationId::from(app.entropy().uuid(context.at));
    let create = CreateOrganization {
        id,
        name: name.to_owned(),
        owner: owner.clone(),
        context: context.clone(),
    };
    app.store().write(create).await?;
    let owned = app.store().organizations_of(owner, "", 100).await?;
    let of_that_name = owned
        .into_iter()
        .find(|of_user| of_user.organization.name == name);
    of_that_name
        .map(|of_user| of_user.organization.id)
        .ok_or_else(|| unusable(format!("the name {name} is taken")))
}

async fn group(
    app: &App,
    org: &OrganizationId,
    members: impl Iterator<Item = &UserId>,
    context: &AuditContext,
) -> Result<(), StartError> {
    let create = CreateGroup {
        id: GroupId::from(app.entropy().uuid(context.at)),
        org_id: org.clone(),
        name: GROUP.to_owned(),
        description: "Holds the demo users of this organization.".to_owned(),
        actor: None,
        context: context.clone(),
    };
    app.store().write(create).await?;
    let groups = app.store().groups_of_organization(org, "", 1).await?;
    let group = groups
        .into_iter()
        .next()
        .ok_or_else(|| unusable("the group is not there"))?;
    let add = |user: &UserId| {
        let (group_id, user_id) = (group.id.clone(), user.clone());
        app.store().write(AddGroupMember {
            group_id,
            user_id,
            actor: None,
            context: context.clone(),
        })
    };
    try_join_all(members.map(add)).await?;
    Ok(())
}
