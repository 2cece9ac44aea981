//! Groups: named sets of members of one organization. Only a member of the organization can be in a group.
//!
//! Every change locks the organization first, like the changes of its members.

use crate::{
    AuditContext, AuditEvent, GroupId, Operation, OrganizationId, OrganizationRole, Row, Store,
    StoreError, Timestamp, Tx, UserId,
    organization::{actor_is, lock, name_key},
    tx::{FromRow, values},
};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// A UUIDv7.
    pub id: GroupId,
    /// The organization it belongs to.
    pub org_id: OrganizationId,
    /// Unique in the organization without regard to case.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// By whom, if it was a user.
    pub created_by: Option<UserId>,
    /// When its name or description was last changed.
    pub updated_at: Timestamp,
}

const COLUMNS: &str =
    "SELECT id, org_id, name, description, created_at, created_by, updated_at FROM member_groups";

impl FromRow for Group {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            org_id: row.word(1)?,
            name: row.text(2)?,
            description: row.text(3)?,
            created_at: row.time(4)?,
            created_by: row.opt_word(5)?,
            updated_at: row.time(6)?,
        })
    }
}

impl Store {
    /// The group with this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn group(&self, id: &GroupId) -> Result<Option<Group>, StoreError> {
        const BY_ID: &str = const_str::concat!(COLUMNS, " WHERE id = $1");
        self.first(BY_ID, values![id]).await
    }

    /// The groups of an organization in the order of their ids, after `after` (empty: from the first).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn groups_of_organization(
        &self,
        org: &OrganizationId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Group>, StoreError> {
        const PAGE: &str = const_str::concat!(
            COLUMNS,
            " WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        self.all(PAGE, values![org, after, limit]).await
    }

    /// The groups of an organization that a user is a member of, in the order of their ids, after `after`
    /// (empty: from the first).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn groups_of_member(
        &self,
        org: &OrganizationId,
        user: &UserId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Group>, StoreError> {
        const OF_MEMBER: &str = const_str::concat!(
            COLUMNS,
            " WHERE org_id = $1 AND id IN (SELECT group_id FROM group_members WHERE user_id = $2)
            AND id > $3 ORDER BY id LIMIT $4"
        );
        self.all(OF_MEMBER, values![org, user, after, limit]).await
    }
}

/// What became of a change of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// It happened.
    Done,
    /// Another group of the organization has the name.
    NameTaken,
    /// The user is in the group already.
    AlreadyMember,
    /// The user is not in the group.
    NotMember,
    /// The user is not a member of the group's organization.
    NotInOrganization,
    /// There is no such group.
    NoSuchGroup,
    /// There is no such organization.
    NoSuchOrganization,
    /// The actor's role, as it is by now, does not allow it.
    NotAllowed,
}

/// Creates a group. Takes an admin of the organization.
#[derive(Debug)]
pub struct CreateGroup {
    /// A fresh UUIDv7.
    pub id: GroupId,
    /// The organization.
    pub org_id: OrganizationId,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// The user who acts; `None` for the operator or a service with the scope.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for CreateGroup {
    type Outcome = GroupChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<GroupChange, StoreError> {
        const CREATE: &str = "INSERT INTO member_groups
            (id, org_id, name, name_key, description, created_at, created_by, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $6) ON CONFLICT (org_id, name_key) DO NOTHING";
        if !lock(tx, &self.org_id).await? {
            return Ok(GroupChange::NoSuchOrganization);
        }
        let actor = self.actor.as_ref();
        if !actor_is(tx, &self.org_id, actor, OrganizationRole::Admin).await? {
            return Ok(GroupChange::NotAllowed);
        }
        let key = name_key(&self.name);
        let row = values![
            &self.id,
            &self.org_id,
            &self.name,
            &key,
            &self.description,
            self.context.at,
            actor,
        ];
        if !tx.won(CREATE, row).await? {
            return Ok(GroupChange::NameTaken);
        }
        let event = about(&self.id, &self.org_id, "group_created").field("name", &self.name);
        tx.audit(&self.context, event);
        Ok(GroupChange::Done)
    }
}

/// Changes a group's name or description. Takes an admin of the organization.
#[derive(Debug)]
pub struct UpdateGroup {
    /// Which group.
    pub id: GroupId,
    /// The name from now on, if it changes.
    pub name: Option<String>,
    /// The description from now on, if it changes.
    pub description: Option<String>,
    /// The user who acts; `None` for the operator or a service with the scope.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for UpdateGroup {
    type Outcome = GroupChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<GroupChange, StoreError> {
        const NAME_OF_ANOTHER: &str =
            "SELECT id FROM member_groups WHERE org_id = $1 AND name_key = $2 AND id <> $3";
        const UPDATE: &str =
            "UPDATE member_groups SET name = COALESCE($1, name), name_key = COALESCE($2, name_key),
            description = COALESCE($3, description), updated_at = $4 WHERE id = $5";
        let actor = Actor::at_least(OrganizationRole::Admin, self.actor.as_ref());
        let org = match lock_organization_of(tx, &self.id, &actor).await? {
            Ok(org) => org,
            Err(refusal) => return Ok(refusal),
        };
        let key = self.name.as_deref().map(name_key);
        let row = values![&org, key.as_ref(), &self.id];
        if tx.first::<String>(NAME_OF_ANOTHER, row).await?.is_some() {
            return Ok(GroupChange::NameTaken);
        }
        let (name, description) = (self.name.as_ref(), self.description.as_ref());
        let row = values![name, key.as_ref(), description, self.context.at, &self.id];
        tx.execute(UPDATE, row).await?;
        tx.audit(&self.context, about(&self.id, &org, "group_changed"));
        Ok(GroupChange::Done)
    }
}

/// Removes a group with its list of members. Takes an admin of the organization.
#[derive(Debug)]
pub struct RemoveGroup {
    /// Which group.
    pub id: GroupId,
    /// The user who acts; `None` for the operator or a service with the scope.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RemoveGroup {
    type Outcome = GroupChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<GroupChange, StoreError> {
        let actor = Actor::at_least(OrganizationRole::Admin, self.actor.as_ref());
        let org = match lock_organization_of(tx, &self.id, &actor).await? {
            Ok(org) => org,
            Err(refusal) => return Ok(refusal),
        };
        tx.execute("DELETE FROM member_groups WHERE id = $1", values![&self.id])
            .await?;
        tx.audit(&self.context, about(&self.id, &org, "group_removed"));
        Ok(GroupChange::Done)
    }
}

/// Who acts, and what they have to be.
pub(crate) struct Actor<'a> {
    user: Option<&'a UserId>,
    least: OrganizationRole,
}

impl<'a> Actor<'a> {
    pub(crate) fn at_least(least: OrganizationRole, user: Option<&'a UserId>) -> Self {
        Self { user, least }
    }
}

/// Locks the organization of a group and proves that the group is there and that the actor may change it.
pub(crate) async fn lock_organization_of(
    tx: &mut Tx<'_>,
    group: &GroupId,
    actor: &Actor<'_>,
) -> Result<Result<OrganizationId, GroupChange>, StoreError> {
    const ORGANIZATION: &str = "SELECT org_id FROM member_groups WHERE id = $1";
    // Read before the lock to know what to lock, and again after it, because the group may be gone by then.
    let Some(org) = tx
        .first::<OrganizationId>(ORGANIZATION, values![group])
        .await?
    else {
        return Ok(Err(GroupChange::NoSuchGroup));
    };
    lock(tx, &org).await?;
    if tx
        .first::<OrganizationId>(ORGANIZATION, values![group])
        .await?
        .as_ref()
        != Some(&org)
    {
        return Ok(Err(GroupChange::NoSuchGroup));
    }
    if !actor_is(tx, &org, actor.user, actor.least).await? {
        return Ok(Err(GroupChange::NotAllowed));
    }
    Ok(Ok(org))
}

impl FromRow for OrganizationId {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.word(0)
    }
}

pub(crate) fn about(group: &GroupId, org: &OrganizationId, event: &'static str) -> AuditEvent {
    AuditEvent::new(event).org(org).field("group_id", group)
}
