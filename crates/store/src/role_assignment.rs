//! Who has which role, over the whole server or in one organization. Nobody gives or takes what they do not hold: what
//! the giver holds is read in the same transaction, under the lock that every change of roles takes first.

use std::collections::BTreeSet;

use crate::{
    AuditContext, AuditEvent, Membership, Operation, OrganizationId, OrganizationRole, Row,
    StoreError, Timestamp, Tx, UserId,
    client::json,
    epoch,
    membership::stale,
    organization,
    role::{ADMIN_ROLE, EVERYTHING, Role, Roles, USERS},
    tx::{FromRow, values},
};

/// Who gives or takes a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Giver {
    /// The operator, or a service that may everything.
    Operator,
    /// A user: with what the user's roles permit over the whole server and in the organization concerned.
    User(UserId),
}

/// Gives a user a role, or takes it away.
#[derive(Debug)]
pub struct AssignRole {
    /// Whose.
    pub user_id: UserId,
    /// Where; `None`: over the whole server.
    pub org_id: Option<OrganizationId>,
    /// Which.
    pub role: String,
    /// Whether the user has it from now on.
    pub has: bool,
    /// Who gives.
    pub giver: Giver,
    /// When the last access token issued so far has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleAssignment {
    /// It happened.
    Done,
    /// The user has it, or has it not, already.
    Already,
    /// There is no such user, or no such member.
    NoSuchUser,
    /// There is no such organization.
    NoSuchOrganization,
    /// No such role is declared.
    NoSuchRole,
    /// The giver does not hold what the role permits.
    NotHeld,
    /// The giver may not assign roles there at all.
    NotAllowed,
}

impl Operation for AssignRole {
    type Outcome = RoleAssignment;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<RoleAssignment, StoreError> {
        epoch::lock(tx).await?;
        if let Some(org) = &self.org_id
            && !organization::lock(tx, org).await?
        {
            return Ok(RoleAssignment::NoSuchOrganization);
        }
        const ROLES: &str = "SELECT name, description, permissions, includes FROM roles";
        let roles = Roles::new(tx.all::<Role>(ROLES, values![]).await?);
        let is_built_in = self.role == ADMIN_ROLE && self.org_id.is_none();
        // A role that is gone, or never was, may still be taken away.
        if self.has && !is_built_in && !roles.has(&self.role) {
            return Ok(RoleAssignment::NoSuchRole);
        }
        if let Some(refusal) = self.refusal(tx, &roles).await? {
            return Ok(refusal);
        }
        self.write(tx).await
    }
}

impl AssignRole {
    async fn refusal(
        &self,
        tx: &mut Tx<'_>,
        roles: &Roles,
    ) -> Result<Option<RoleAssignment>, StoreError> {
        let Giver::User(giver) = &self.giver else {
            return Ok(None);
        };
        let Some(held) = held(tx, roles, giver, self.org_id.as_ref()).await? else {
            return Ok(Some(RoleAssignment::NotAllowed));
        };
        if held.permissions.contains(EVERYTHING) {
            return Ok(None);
        }
        let may_assign = match &self.org_id {
            Some(_) => held.role >= Some(OrganizationRole::Admin),
            None => held.permissions.contains(USERS),
        };
        if !may_assign {
            return Ok(Some(RoleAssignment::NotAllowed));
        }
        let given = match &self.org_id {
            Some(_) => roles.permissions_in_organization([self.role.as_str()]),
            None => roles.permissions([self.role.as_str()]),
        };
        Ok((!given.is_subset(&held.permissions)).then_some(RoleAssignment::NotHeld))
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<RoleAssignment, StoreError> {
        const GLOBAL: &str = "SELECT roles FROM users WHERE id = $1";
        const IN_ORG: &str = "SELECT roles FROM memberships WHERE user_id = $1 AND org_id = $2";
        const PUT_GLOBAL: &str = "UPDATE users SET roles = $1, updated_at = $2 WHERE id = $3";
        const PUT_IN_ORG: &str =
            "UPDATE memberships SET roles = $1 WHERE user_id = $2 AND org_id = $3";
        let user = &self.user_id;
        let before: Option<List> = match &self.org_id {
            Some(org) => tx.first(IN_ORG, values![user, org]).await?,
            None => tx.first(GLOBAL, values![user]).await?,
        };
        let Some(List(mut list)) = before else {
            return Ok(RoleAssignment::NoSuchUser);
        };
        if list.contains(&self.role) == self.has {
            return Ok(RoleAssignment::Already);
        }
        if self.has {
            list.push(self.role.clone());
        } else {
            list.retain(|role| *role != self.role);
        }
        let list = json(&list)?;
        match &self.org_id {
            Some(org) => tx.execute(PUT_IN_ORG, values![&list, user, org]).await?,
            None => {
                tx.execute(PUT_GLOBAL, values![&list, self.context.at, user])
                    .await?
            }
        };
        stale(tx, user, self.revoked_until, &self.context).await?;
        self.audit(tx);
        Ok(RoleAssignment::Done)
    }

    fn audit(&self, tx: &mut Tx<'_>) {
        let word = if self.has {
            "role_assigned"
        } else {
            "role_withdrawn"
        };
        let event = AuditEvent::new(word)
            .user(&self.user_id)
            .field("role", &self.role);
        let event = match &self.org_id {
            Some(org) => event.org(org),
            None => event,
        };
        tx.audit(&self.context, event);
    }
}

struct List(Vec<String>);

impl FromRow for List {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.json(0).map(Self)
    }
}

/// What a giver holds at this moment.
struct Held {
    permissions: BTreeSet<String>,
    role: Option<OrganizationRole>,
}

/// `None` for a user who is not active.
async fn held(
    tx: &mut Tx<'_>,
    roles: &Roles,
    user: &UserId,
    org: Option<&OrganizationId>,
) -> Result<Option<Held>, StoreError> {
    const GLOBAL: &str = "SELECT roles FROM users WHERE id = $1 AND is_active = 1";
    const IN_ORG: &str = "SELECT org_id, user_id, role, roles, added_at, added_by FROM memberships
        WHERE user_id = $1 AND org_id = $2";
    let Some(List(global)) = tx.first(GLOBAL, values![user]).await? else {
        return Ok(None);
    };
    let mut permissions = roles.permissions(global.iter().map(String::as_str));
    let Some(org) = org else {
        let role = None;
        return Ok(Some(Held { permissions, role }));
    };
    let membership: Option<Membership> = tx.first(IN_ORG, values![user, org]).await?;
    let role = membership.as_ref().map(|membership| membership.role);
    if let Some(membership) = membership {
        let names = membership.roles.iter().map(String::as_str);
        let names = names.chain(membership.role.declared().iter().copied());
        permissions.extend(roles.permissions_in_organization(names));
    }
    Ok(Some(Held { permissions, role }))
}
