//! Invitations into an organization, sent by mail. The token is kept as SHA-256, good once, and only for who signs in with
//! the address it was sent to. Who invited must still be allowed to when it is accepted.

use crate::{
    AuditContext, AuditEvent, InvitationId, Mail, Operation, OrganizationId, OrganizationRole, Row,
    Store, StoreError, Timestamp, Tx, UserId,
    organization::{actor_is, lock},
    tx::{FromRow, values},
    user::key,
};

/// An invitation that was not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// A UUIDv7.
    pub id: InvitationId,
    /// Into which organization.
    pub org_id: OrganizationId,
    /// The address it was sent to.
    pub email: String,
    /// As what.
    pub role: OrganizationRole,
    /// When it was sent.
    pub created_at: Timestamp,
    /// By whom, if it was a user.
    pub created_by: Option<UserId>,
    /// From then on it is over.
    pub expires_at: Timestamp,
}

const COLUMNS: &str =
    "SELECT id, org_id, email, role, created_at, created_by, expires_at FROM invitations";

impl FromRow for Invitation {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            org_id: row.word(1)?,
            email: row.text(2)?,
            role: row.word(3)?,
            created_at: row.time(4)?,
            created_by: row.opt_word(5)?,
            expires_at: row.time(6)?,
        })
    }
}

impl Invitation {
    /// Open invitations of one organization, at most.
    pub const MOST: i64 = 500;
}

impl Store {
    /// The open invitations of an organization in the order of their ids, after `after`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn invitations(
        &self,
        org: &OrganizationId,
        now: Timestamp,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Invitation>, StoreError> {
        const PAGE: &str = const_str::concat!(
            COLUMNS,
            " WHERE org_id = $1 AND ended_at IS NULL AND expires_at > $2 AND id > $3 ORDER BY id LIMIT $4"
        );
        self.all(PAGE, values![org, now, after, limit]).await
    }
}

/// Invites an address. An open invitation of the same address ends.
#[derive(Debug)]
pub struct InviteMember {
    /// The invitation. It is made now.
    pub invitation: Invitation,
    /// SHA-256 of the token.
    pub digest: Vec<u8>,
    /// The mail that brings it.
    pub mail: Mail,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inviting {
    /// It is on its way.
    Invited,
    /// The address belongs to a member.
    AlreadyMember,
    /// There are as many as there may be.
    TooMany,
    /// There is no such organization.
    NoSuchOrganization,
    /// The inviter's role does not allow it.
    NotAllowed,
}

impl Operation for InviteMember {
    type Outcome = Inviting;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Inviting, StoreError> {
        const MEMBER: &str = "SELECT u.id FROM users AS u JOIN memberships AS m ON m.user_id = u.id
            WHERE u.email_key = $1 AND m.org_id = $2";
        const END_FORMER: &str = "UPDATE invitations SET ended_at = $1, outcome = 'replaced'
            WHERE org_id = $2 AND email_key = $3 AND ended_at IS NULL";
        const COUNT: &str = "SELECT count(*) FROM invitations WHERE org_id = $1 AND ended_at IS NULL AND expires_at > $2";
        const PUT: &str = "INSERT INTO invitations (id, org_id, email, email_key, role, digest, created_at, created_by,
            expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let (new, now) = (&self.invitation, self.context.at);
        let (org, email_key) = (&new.org_id, key(&new.email));
        if !lock(tx, org).await? {
            return Ok(Inviting::NoSuchOrganization);
        }
        let least = new.role.max(OrganizationRole::Admin);
        if !actor_is(tx, org, new.created_by.as_ref(), least).await? {
            return Ok(Inviting::NotAllowed);
        }
        let member: Option<String> = tx.first(MEMBER, values![&email_key, org]).await?;
        if member.is_some() {
            return Ok(Inviting::AlreadyMember);
        }
        tx.execute(END_FORMER, values![now, org, &email_key])
            .await?;
        let open: Option<i64> = tx.first(COUNT, values![org, now]).await?;
        if open.unwrap_or(0) >= Invitation::MOST {
            return Ok(Inviting::TooMany);
        }
        let row = values![
            &new.id,
            org,
            &new.email,
            &email_key,
            new.role.as_str(),
            &self.digest,
            now,
            new.created_by.as_ref(),
            new.expires_at,
        ];
        tx.execute(PUT, row).await?;
        tx.mail(&self.mail, now).await?;
        let event = AuditEvent::new("member_invited")
            .org(org)
            .field("invitation", &new.id)
            .field("role", new.role);
        tx.audit(&self.context, event);
        Ok(Inviting::Invited)
    }
}

/// Accepts an invitation, as the user whose address it was sent to.
#[derive(Debug)]
pub struct AcceptInvitation {
    /// SHA-256 of the token.
    pub digest: Vec<u8>,
    /// Who accepts.
    pub user_id: UserId,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The user is a member now.
    Joined(OrganizationId, OrganizationRole),
    /// The user was one already; the invitation is used up.
    AlreadyMember(OrganizationId),
    /// Nothing that this user could accept now.
    NotGood,
}

impl Operation for AcceptInvitation {
    type Outcome = Acceptance;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Acceptance, StoreError> {
        const FIND: &str = const_str::concat!(COLUMNS, " WHERE digest = $1");
        const USE_UP: &str = "UPDATE invitations SET ended_at = $1, outcome = 'accepted', accepted_by = $2
            WHERE id = $3 AND ended_at IS NULL AND expires_at > $1
                AND email_key = (SELECT email_key FROM users WHERE id = $2 AND is_active = 1)
                AND EXISTS (SELECT 1 FROM organizations AS o WHERE o.id = org_id AND o.is_active = 1)";
        const JOIN: &str = "INSERT INTO memberships (org_id, user_id, role, added_at, added_by)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org_id, user_id) DO NOTHING";
        let (user, now) = (&self.user_id, self.context.at);
        let found: Option<Invitation> = tx.first(FIND, values![&self.digest]).await?;
        let Some(found) = found else {
            return Ok(Acceptance::NotGood);
        };
        let (org, inviter) = (&found.org_id, found.created_by.as_ref());
        let least = found.role.max(OrganizationRole::Admin);
        if !lock(tx, org).await? || !actor_is(tx, org, inviter, least).await? {
            return Ok(Acceptance::NotGood);
        }
        if !tx.won(USE_UP, values![now, user, &found.id]).await? {
            return Ok(Acceptance::NotGood);
        }
        let row = values![org, user, found.role.as_str(), now, inviter];
        if !tx.won(JOIN, row).await? {
            return Ok(Acceptance::AlreadyMember(found.org_id));
        }
        let event = AuditEvent::new("invitation_accepted")
            .org(org)
            .user(user)
            .field("invitation", &found.id)
            .field("role", found.role);
        tx.audit(&self.context, event);
        Ok(Acceptance::Joined(found.org_id, found.role))
    }
}

/// Takes an open invitation back.
#[derive(Debug)]
pub struct RevokeInvitation {
    /// Which.
    pub id: InvitationId,
    /// Of which organization.
    pub org_id: OrganizationId,
    /// The user who acts; `None` for the operator.
    pub actor: Option<UserId>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RevokeInvitation {
    /// Whether the actor may, and there was one: `None` for an actor who may not.
    type Outcome = Option<bool>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<bool>, StoreError> {
        const REVOKE: &str = "UPDATE invitations SET ended_at = $1, outcome = 'revoked'
            WHERE id = $2 AND org_id = $3 AND ended_at IS NULL AND expires_at > $1";
        let org = &self.org_id;
        if !lock(tx, org).await? {
            return Ok(Some(false));
        }
        if !actor_is(tx, org, self.actor.as_ref(), OrganizationRole::Admin).await? {
            return Ok(None);
        }
        let row = values![self.context.at, &self.id, org];
        let revoked = tx.won(REVOKE, row).await?;
        if revoked {
            let event = AuditEvent::new("invitation_revoked")
                .org(org)
                .field("invitation", &self.id);
            tx.audit(&self.context, event);
        }
        Ok(Some(revoked))
    }
}
