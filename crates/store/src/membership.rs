//! Changes of who belongs to an organization, and as what. The last owner can be neither removed nor demoted, and
//! what the actor may do is proved in the same transaction, after the organization was locked.

use crate::{
    AuditContext, AuditEvent, Operation, OrganizationId, OrganizationRole, RevocationKind,
    StoreError, Timestamp, Tx, UserId,
    organization::{actor_is, lock},
    revocation,
    tx::values,
};

/// What became of a change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// It happened.
    Done,
    /// The user is a member already.
    AlreadyMember,
    /// The user is not a member.
    NotMember,
    /// The organization would have no owner.
    LastOwner,
    /// There is no such user.
    NoSuchUser,
    /// There is no such organization.
    NoSuchOrganization,
    /// The actor's role, as it is by now, does not allow it.
    NotAllowed,
}

const MEMBER: &str = "SELECT role FROM memberships WHERE org_id = $1 AND user_id = $2";

/// Adds a member. Takes an admin; for an owner, an owner.
#[derive(Debug)]
pub struct AddMember {
    /// To which organization.
    pub org_id: OrganizationId,
    /// Whom.
    pub user_id: UserId,
    /// As what.
    pub role: OrganizationRole,
    /// The user who acts; `None` for the operator.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for AddMember {
    type Outcome = MembershipChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<MembershipChange, StoreError> {
        const ADD: &str = "INSERT INTO memberships (org_id, user_id, role, added_at, added_by)
            SELECT $1, $2, $3, $4, $5 FROM users WHERE id = $2 ON CONFLICT (org_id, user_id) DO NOTHING";
        let (org, user) = (&self.org_id, &self.user_id);
        if !lock(tx, org).await? {
            return Ok(MembershipChange::NoSuchOrganization);
        }
        let actor = self.actor.as_ref();
        if !actor_is(tx, org, actor, self.role.max(OrganizationRole::Admin)).await? {
            return Ok(MembershipChange::NotAllowed);
        }
        let row = values![org, user, self.role.as_str(), self.context.at, actor];
        if !tx.won(ADD, row).await? {
            let member: Option<OrganizationRole> = tx.first(MEMBER, values![org, user]).await?;
            return Ok(member.map_or(MembershipChange::NoSuchUser, |_| {
                MembershipChange::AlreadyMember
            }));
        }
        let event = AuditEvent::new("member_added")
            .org(org)
            .user(user)
            .field("role", self.role);
        tx.audit(&self.context, event);
        Ok(MembershipChange::Done)
    }
}

/// Changes a member's role. Takes an admin; to make or demote an owner, an owner.
#[derive(Debug)]
pub struct ChangeMemberRole {
    /// In which organization.
    pub org_id: OrganizationId,
    /// Whose.
    pub user_id: UserId,
    /// The role from now on.
    pub role: OrganizationRole,
    /// The user who acts; `None` for the operator.
    pub actor: Option<UserId>,
    /// When the last access token issued so far has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ChangeMemberRole {
    type Outcome = MembershipChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<MembershipChange, StoreError> {
        const CHANGE: &str = "UPDATE memberships SET role = $1 WHERE org_id = $2 AND user_id = $3
            AND ($1 = 'owner' OR role <> 'owner' OR EXISTS (SELECT 1 FROM memberships AS other
                WHERE other.org_id = $2 AND other.user_id <> $3 AND other.role = 'owner'))";
        let (org, user) = (&self.org_id, &self.user_id);
        if !lock(tx, org).await? {
            return Ok(MembershipChange::NoSuchOrganization);
        }
        let before: Option<OrganizationRole> = tx.first(MEMBER, values![org, user]).await?;
        let least = self
            .role
            .max(OrganizationRole::Admin)
            .max(before.unwrap_or(self.role));
        if !actor_is(tx, org, self.actor.as_ref(), least).await? {
            return Ok(MembershipChange::NotAllowed);
        }
        let Some(before) = before else {
            return Ok(MembershipChange::NotMember);
        };
        if !tx
            .won(CHANGE, values![self.role.as_str(), org, user])
            .await?
        {
            return Ok(MembershipChange::LastOwner);
        }
        stale(tx, user, self.revoked_until, &self.context).await?;
        let event = AuditEvent::new("member_role_changed")
            .org(org)
            .user(user)
            .field("before", before)
            .field("role", self.role);
        tx.audit(&self.context, event);
        Ok(MembershipChange::Done)
    }
}

/// Removes a member, also from every group of the organization. Takes an admin; for an owner, an owner. Members may
/// leave by themselves.
#[derive(Debug)]
pub struct RemoveMember {
    /// From which organization.
    pub org_id: OrganizationId,
    /// Whom.
    pub user_id: UserId,
    /// The user who acts; `None` for the operator.
    pub actor: Option<UserId>,
    /// When the last access token issued so far has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RemoveMember {
    type Outcome = MembershipChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<MembershipChange, StoreError> {
        const LEAVE_GROUPS: &str = "DELETE FROM group_members WHERE user_id = $1
            AND group_id IN (SELECT id FROM member_groups WHERE org_id = $2)";
        const REMOVE: &str = "DELETE FROM memberships WHERE org_id = $1 AND user_id = $2
            AND (role <> 'owner' OR EXISTS (SELECT 1 FROM memberships AS other
                WHERE other.org_id = $1 AND other.user_id <> $2 AND other.role = 'owner'))";
        let (org, user) = (&self.org_id, &self.user_id);
        if !lock(tx, org).await? {
            return Ok(MembershipChange::NoSuchOrganization);
        }
        let before: Option<OrganizationRole> = tx.first(MEMBER, values![org, user]).await?;
        if !self.is_allowed(tx, before).await? {
            return Ok(MembershipChange::NotAllowed);
        }
        let Some(before) = before else {
            return Ok(MembershipChange::NotMember);
        };
        if !tx.won(REMOVE, values![org, user]).await? {
            return Ok(MembershipChange::LastOwner);
        }
        let groups = tx.execute(LEAVE_GROUPS, values![user, org]).await?;
        stale(tx, user, self.revoked_until, &self.context).await?;
        let event = AuditEvent::new("member_removed")
            .org(org)
            .user(user)
            .field("role", before)
            .field("groups_left", groups);
        tx.audit(&self.context, event);
        Ok(MembershipChange::Done)
    }
}

impl RemoveMember {
    async fn is_allowed(
        &self,
        tx: &mut Tx<'_>,
        before: Option<OrganizationRole>,
    ) -> Result<bool, StoreError> {
        if self.actor.as_ref() == Some(&self.user_id) && before.is_some() {
            return Ok(true);
        }
        let least = before
            .unwrap_or(OrganizationRole::Admin)
            .max(OrganizationRole::Admin);
        actor_is(tx, &self.org_id, self.actor.as_ref(), least).await
    }
}

/// Tells the feed that tokens which say what this user may do are stale.
pub(crate) async fn stale(
    tx: &mut Tx<'_>,
    user: &UserId,
    until: Timestamp,
    context: &AuditContext,
) -> Result<(), StoreError> {
    let feed = revocation::Feed {
        kind: RevocationKind::Authority,
        revoked_at: context.at,
        expires_at: until,
    };
    revocation::publish(tx, &feed, &[user.to_string()]).await
}
