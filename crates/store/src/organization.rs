//! Organizations and their members (owner, admin, member). An organization always has an owner.
//!
//! Every change writes the organization's row first, so that on PostgreSQL, too, changes of one organization run one
//! after another, and what an operation then reads of its members holds until it commits.

use std::str::FromStr;

use crate::{
    AuditContext, AuditEvent, Operation, OrganizationId, Row, Store, StoreError, Timestamp, Tx,
    UserId,
    tx::{FromRow, values},
};

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// A UUIDv7.
    pub id: OrganizationId,
    /// Unique without regard to case.
    pub name: String,
    /// A disabled organization's members get no tokens for it.
    pub is_active: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// By whom, if it was a user.
    pub created_by: Option<UserId>,
}

/// What a member may do. Ordered: a later role holds everything an earlier one does.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationRole {
    /// Sees the organization and the groups it is a member of.
    Member,
    /// Manages members and groups.
    Admin,
    /// Manages owners, too.
    Owner,
}

impl OrganizationRole {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl OrganizationRole {
    /// The declared roles that say what this one permits beside the organization itself: its own and those below.
    pub fn declared(self) -> &'static [&'static str] {
        const ALL: [&str; 3] = [
            "organization:owner",
            "organization:admin",
            "organization:member",
        ];
        match self {
            Self::Owner => &ALL,
            Self::Admin => &ALL[1..],
            Self::Member => &ALL[2..],
        }
    }
}

impl FromStr for OrganizationRole {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            "owner" => Ok(Self::Owner),
            _ => Err(format!("`{word}` is not a role in an organization")),
        }
    }
}

impl std::fmt::Display for OrganizationRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromRow for OrganizationRole {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.word(0)
    }
}

/// That a user belongs to an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Which organization.
    pub org_id: OrganizationId,
    /// Which user.
    pub user_id: UserId,
    /// As what.
    pub role: OrganizationRole,
    /// Declared roles the user has in this organization beside it.
    pub roles: Vec<String>,
    /// Since when.
    pub added_at: Timestamp,
    /// By whom, if it was a user.
    pub added_by: Option<UserId>,
}

/// A member, with the address to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationMember {
    /// The membership.
    pub membership: Membership,
    /// The user's address.
    pub email: String,
}

/// An organization, seen by one of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationOfUser {
    /// The organization.
    pub organization: Organization,
    /// What the user is in it.
    pub role: OrganizationRole,
}

const COLUMNS: &str = "SELECT o.id, o.name, o.is_active, o.created_at, o.created_by";
const MEMBERSHIP: &str = "SELECT m.org_id, m.user_id, m.role, m.roles, m.added_at, m.added_by";

impl FromRow for Organization {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            name: row.text(1)?,
            is_active: row.flag(2)?,
            created_at: row.time(3)?,
            created_by: row.opt_word(4)?,
        })
    }
}

impl FromRow for OrganizationOfUser {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            organization: Organization::from_row(row)?,
            role: row.word(5)?,
        })
    }
}

impl FromRow for Membership {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            org_id: row.word(0)?,
            user_id: row.word(1)?,
            role: row.word(2)?,
            roles: row.json(3)?,
            added_at: row.time(4)?,
            added_by: row.opt_word(5)?,
        })
    }
}

impl FromRow for OrganizationMember {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            membership: Membership::from_row(row)?,
            email: row.text(6)?,
        })
    }
}

impl Store {
    /// The organization with this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organization(
        &self,
        id: &OrganizationId,
    ) -> Result<Option<Organization>, StoreError> {
        const BY_ID: &str = const_str::concat!(COLUMNS, " FROM organizations AS o WHERE o.id = $1");
        self.first(BY_ID, values![id]).await
    }

    /// Whether an organization has this name, in whatever case.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organization_name_is_taken(&self, name: &str) -> Result<bool, StoreError> {
        const NAMED: &str = "SELECT id FROM organizations WHERE name_key = $1";
        let found: Option<String> = self.first(NAMED, values![&name_key(name)]).await?;
        Ok(found.is_some())
    }

    /// Organizations in the order of their ids, after `after` (empty: from the first).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organizations(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Organization>, StoreError> {
        const PAGE: &str = const_str::concat!(
            COLUMNS,
            " FROM organizations AS o WHERE o.id > $1 ORDER BY o.id LIMIT $2"
        );
        self.all(PAGE, values![after, limit]).await
    }

    /// The active organizations a user belongs to, in the order of their ids, after `after` (empty: from the first).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organizations_of(
        &self,
        user: &UserId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<OrganizationOfUser>, StoreError> {
        const OF_USER: &str = const_str::concat!(
            COLUMNS,
            ", m.role FROM memberships AS m JOIN organizations AS o ON o.id = m.org_id
            WHERE m.user_id = $1 AND o.is_active = 1 AND o.id > $2 ORDER BY o.id LIMIT $3"
        );
        self.all(OF_USER, values![user, after, limit]).await
    }

    /// A user's oldest membership of an active organization: the one their tokens speak of unless they choose another.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn default_membership(
        &self,
        user: &UserId,
    ) -> Result<Option<Membership>, StoreError> {
        const OLDEST: &str = const_str::concat!(
            MEMBERSHIP,
            " FROM memberships AS m JOIN organizations AS o ON o.id = m.org_id
            WHERE m.user_id = $1 AND o.is_active = 1 ORDER BY m.added_at, m.org_id LIMIT 1"
        );
        self.first(OLDEST, values![user]).await
    }

    /// A user's membership of an active organization.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn membership(
        &self,
        org: &OrganizationId,
        user: &UserId,
    ) -> Result<Option<Membership>, StoreError> {
        const OF: &str = const_str::concat!(
            MEMBERSHIP,
            " FROM memberships AS m JOIN organizations AS o ON o.id = m.org_id
            WHERE m.org_id = $1 AND m.user_id = $2 AND o.is_active = 1"
        );
        self.first(OF, values![org, user]).await
    }

    /// The members of an organization in the order of their ids, after `after` (empty: from the first).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn members(
        &self,
        org: &OrganizationId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<OrganizationMember>, StoreError> {
        const PAGE: &str = const_str::concat!(
            MEMBERSHIP,
            ", u.email FROM memberships AS m JOIN users AS u ON u.id = m.user_id
            WHERE m.org_id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3"
        );
        self.all(PAGE, values![org, after, limit]).await
    }
}

/// What an organization's name is compared by.
pub(crate) fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Makes every other change of this organization's members and groups wait until this one has committed. Says
/// whether there is such an organization.
pub(crate) async fn lock(tx: &mut Tx<'_>, org: &OrganizationId) -> Result<bool, StoreError> {
    const LOCK: &str =
        "UPDATE organizations SET membership_version = membership_version + 1 WHERE id = $1";
    tx.won(LOCK, values![org]).await
}

/// The role of a user in a locked organization; nobody's if the user is disabled.
pub(crate) async fn role_of(
    tx: &mut Tx<'_>,
    org: &OrganizationId,
    user: &UserId,
) -> Result<Option<OrganizationRole>, StoreError> {
    const ROLE: &str = "SELECT m.role FROM memberships AS m JOIN users AS u ON u.id = m.user_id
        WHERE m.org_id = $1 AND m.user_id = $2 AND u.is_active = 1";
    tx.first(ROLE, values![org, user]).await
}

/// Whether the actor, by now, has at least this role. `None` acts for the operator or a service with the scope.
pub(crate) async fn actor_is(
    tx: &mut Tx<'_>,
    org: &OrganizationId,
    actor: Option<&UserId>,
    least: OrganizationRole,
) -> Result<bool, StoreError> {
    match actor {
        None => Ok(true),
        Some(actor) => Ok(role_of(tx, org, actor).await? >= Some(least)),
    }
}

/// Creates an organization with its first owner.
#[derive(Debug)]
pub struct CreateOrganization {
    /// A fresh UUIDv7.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its first owner.
    pub owner: UserId,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of a new organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrganizationCreation {
    /// It is there.
    Created,
    /// The name belongs to another one; nothing was changed.
    NameTaken,
    /// There is no such user; nothing was changed.
    NoSuchOwner,
}

impl Operation for CreateOrganization {
    type Outcome = OrganizationCreation;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<OrganizationCreation, StoreError> {
        const OWNER: &str = "SELECT id FROM users WHERE id = $1";
        const CREATE: &str = "INSERT INTO organizations
            (id, name, name_key, membership_version, is_active, created_at, created_by)
            VALUES ($1, $2, $3, 1, 1, $4, $5) ON CONFLICT (name_key) DO NOTHING";
        const ADD_OWNER: &str =
            "INSERT INTO memberships (org_id, user_id, role, added_at, added_by)
            VALUES ($1, $2, 'owner', $3, $2)";
        let (owner, now) = (&self.owner, self.context.at);
        // Users are never deleted, so one that is there stays there.
        if tx.first::<String>(OWNER, values![owner]).await?.is_none() {
            return Ok(OrganizationCreation::NoSuchOwner);
        }
        let key = name_key(&self.name);
        let row = values![&self.id, &self.name, &key, now, owner];
        if !tx.won(CREATE, row).await? {
            return Ok(OrganizationCreation::NameTaken);
        }
        tx.execute(ADD_OWNER, values![&self.id, owner, now]).await?;
        let event = AuditEvent::new("organization_created")
            .org(&self.id)
            .user(owner)
            .field("name", &self.name);
        tx.audit(&self.context, event);
        Ok(OrganizationCreation::Created)
    }
}
