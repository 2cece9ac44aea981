//! Whether an organization may do anything. While it is disabled its members get no tokens for it, and those there were
//! have ended.

use crate::{
    AuditContext, AuditEvent, Operation, OrganizationId, RevocationKind, StoreError, Timestamp, Tx,
    revocation, tx::values,
};

/// Allows or disables an organization.
#[derive(Debug)]
pub struct SetOrganizationActive {
    /// Which.
    pub org_id: OrganizationId,
    /// Whether its members may act in it.
    pub is_active: bool,
    /// When the last access token issued so far has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for SetOrganizationActive {
    /// Whether this changed anything: `false` for an unknown one and for one that is so already.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const SET: &str =
            "UPDATE organizations SET is_active = $1, membership_version = membership_version + 1
            WHERE id = $2 AND is_active <> $1";
        if !tx.won(SET, values![self.is_active, &self.org_id]).await? {
            return Ok(false);
        }
        if !self.is_active {
            let feed = revocation::Feed {
                kind: RevocationKind::Organization,
                revoked_at: self.context.at,
                expires_at: self.revoked_until,
            };
            revocation::publish(tx, &feed, &[self.org_id.to_string()]).await?;
        }
        let word = if self.is_active {
            "organization_enabled"
        } else {
            "organization_disabled"
        };
        tx.audit(&self.context, AuditEvent::new(word).org(&self.org_id));
        Ok(true)
    }
}
