//! Who is in a group. Only members of the group's organization can be, proved in the write.

use crate::{
    AuditContext, GroupChange, GroupId, Operation, OrganizationRole, Row, Store, StoreError,
    Timestamp, Tx, UserId,
    group::{Actor, about, lock_organization_of},
    tx::{FromRow, values},
};

/// A member of a group, with the address to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Who.
    pub user_id: UserId,
    /// The user's address.
    pub email: String,
    /// Since when.
    pub added_at: Timestamp,
    /// By whom, if it was a user.
    pub added_by: Option<UserId>,
}

impl FromRow for GroupMember {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: row.word(0)?,
            email: row.text(1)?,
            added_at: row.time(2)?,
            added_by: row.opt_word(3)?,
        })
    }
}

impl Store {
    /// The members of a group in the order of their ids, after `after` (empty: from the first).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn group_members(
        &self,
        group: &GroupId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<GroupMember>, StoreError> {
        const PAGE: &str = "SELECT m.user_id, u.email, m.added_at, m.added_by
            FROM group_members AS m JOIN users AS u ON u.id = m.user_id
            WHERE m.group_id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3";
        self.all(PAGE, values![group, after, limit]).await
    }

    /// Whether a user is a member of a group.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_group_member(
        &self,
        group: &GroupId,
        user: &UserId,
    ) -> Result<bool, StoreError> {
        const IS: &str = "SELECT added_at FROM group_members WHERE group_id = $1 AND user_id = $2";
        let found: Option<i64> = self.first(IS, values![group, user]).await?;
        Ok(found.is_some())
    }
}

/// Puts a member of the organization into a group. Takes an admin of the organization.
#[derive(Debug)]
pub struct AddGroupMember {
    /// Which group.
    pub group_id: GroupId,
    /// Whom.
    pub user_id: UserId,
    /// The user who acts; `None` for the operator or a service with the scope.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for AddGroupMember {
    type Outcome = GroupChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<GroupChange, StoreError> {
        const ADD: &str = "INSERT INTO group_members (group_id, user_id, added_at, added_by)
            SELECT $1, $2, $3, $4 FROM memberships AS m WHERE m.org_id = $5 AND m.user_id = $2
            ON CONFLICT (group_id, user_id) DO NOTHING";
        const IN_ORGANIZATION: &str =
            "SELECT user_id FROM memberships WHERE org_id = $1 AND user_id = $2";
        let actor = Actor::at_least(OrganizationRole::Admin, self.actor.as_ref());
        let org = match lock_organization_of(tx, &self.group_id, &actor).await? {
            Ok(org) => org,
            Err(refusal) => return Ok(refusal),
        };
        let (group, user) = (&self.group_id, &self.user_id);
        let row = values![group, user, self.context.at, self.actor.as_ref(), &org];
        if !tx.won(ADD, row).await? {
            let member: Option<String> = tx.first(IN_ORGANIZATION, values![&org, user]).await?;
            return Ok(member.map_or(GroupChange::NotInOrganization, |_| {
                GroupChange::AlreadyMember
            }));
        }
        tx.audit(
            &self.context,
            about(group, &org, "group_member_added").user(user),
        );
        Ok(GroupChange::Done)
    }
}

/// Takes a user out of a group. Takes an admin of the organization; members may leave by themselves.
#[derive(Debug)]
pub struct RemoveGroupMember {
    /// Which group.
    pub group_id: GroupId,
    /// Whom.
    pub user_id: UserId,
    /// The user who acts; `None` for the operator or a service with the scope.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RemoveGroupMember {
    type Outcome = GroupChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<GroupChange, StoreError> {
        const REMOVE: &str = "DELETE FROM group_members WHERE group_id = $1 AND user_id = $2";
        let leaves = self.actor.as_ref() == Some(&self.user_id);
        let least = if leaves {
            OrganizationRole::Member
        } else {
            OrganizationRole::Admin
        };
        let actor = Actor::at_least(least, self.actor.as_ref());
        let org = match lock_organization_of(tx, &self.group_id, &actor).await? {
            Ok(org) => org,
            Err(refusal) => return Ok(refusal),
        };
        let (group, user) = (&self.group_id, &self.user_id);
        if !tx.won(REMOVE, values![group, user]).await? {
            return Ok(GroupChange::NotMember);
        }
        tx.audit(
            &self.context,
            about(group, &org, "group_member_removed").user(user),
        );
        Ok(GroupChange::Done)
    }
}
