//! Whether an organization may do anything: one way for the admin API and the command line.

use tokensmith_store::{
    AuditContext, EndFamilies, FamilyScope, OrganizationId, SetOrganizationActive, Store,
    StoreError, Timestamp,
};

/// Allows or disables an organization, and says whether that changed anything. Its refresh tokens end a batch at a time;
/// already before, none of them gets an access token.
///
/// # Errors
/// When the store does not answer.
pub async fn set_active(
    store: &Store,
    org_id: &OrganizationId,
    is_active: bool,
    revoked_until: Timestamp,
    context: AuditContext,
) -> Result<bool, StoreError> {
    let set = SetOrganizationActive {
        org_id: org_id.clone(),
        is_active,
        revoked_until,
        context: context.clone(),
    };
    let changed = store.write(set).await?;
    if is_active {
        return Ok(changed);
    }
    loop {
        let end = EndFamilies {
            scope: FamilyScope::Organization(org_id.clone()),
            reason: "organization_disabled",
            revoked_until,
            context: context.clone(),
        };
        if store.write(end).await? < EndFamilies::BATCH {
            return Ok(changed);
        }
    }
}
