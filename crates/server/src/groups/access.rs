//! Who sees a group, and as what. Read anew for every request, so a role that was taken away is gone at once.

use tokensmith_store::{Group, GroupId, OrganizationId, OrganizationRole};

use super::{no_such_group, no_such_organization, not_allowed};
use crate::{app::App, caller::Caller, error::ApiError};

/// As what a caller sees an organization's groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// As a member: those they are in.
    Member,
    /// As owner, admin or a service with the scope: all.
    Manager,
}

impl Sight {
    /// Requires more than membership.
    pub(super) fn require_manager(self) -> Result<(), ApiError> {
        match self {
            Self::Manager => Ok(()),
            Self::Member => Err(not_allowed()),
        }
    }
}

/// How the caller sees an organization; 404 for a user who does not belong to it. A service was judged by its scope.
pub(super) async fn see_organization(
    app: &App,
    caller: &Caller,
    org: &OrganizationId,
) -> Result<Sight, ApiError> {
    let Some(user) = caller.user_id() else {
        let organization = app.store().organization(org).await?;
        return organization
            .map(|_| Sight::Manager)
            .ok_or_else(no_such_organization);
    };
    let membership = app.store().membership(org, user).await?;
    match membership.ok_or_else(no_such_organization)?.role {
        OrganizationRole::Member => Ok(Sight::Member),
        OrganizationRole::Admin | OrganizationRole::Owner => Ok(Sight::Manager),
    }
}

/// A group the caller may see, and how; 404 for every other.
pub(super) async fn see_group(
    app: &App,
    caller: &Caller,
    id: &GroupId,
) -> Result<(Group, Sight), ApiError> {
    let group = app.store().group(id).await?.ok_or_else(no_such_group)?;
    let sight = see_organization(app, caller, &group.org_id)
        .await
        .map_err(hidden)?;
    if let (Sight::Member, Some(user)) = (sight, caller.user_id())
        && !app.store().is_group_member(id, user).await?
    {
        return Err(no_such_group());
    }
    Ok((group, sight))
}

/// Whoever may not see the organization must not learn from the sentence that the group is there.
fn hidden(error: ApiError) -> ApiError {
    if error.refusal() == "not_found" {
        return no_such_group();
    }
    error
}
