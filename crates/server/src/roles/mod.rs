//! What a user may do: `GET /api/oauth2/me`, and the one way in which roles are given and taken. The store proves in the
//! transaction that nobody gives what they do not hold.

mod me;

use serde::Serialize;
use tokensmith_store::{AssignRole, OrganizationId, RoleAssignment, User, UserId};

pub use me::me;

use crate::{
    app::App,
    error::ApiError,
    registry::{Authority, InOrganization},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(me::me))]
pub(crate) struct Api;

/// What a user may do at this moment, in an organization or outside of all, read anew.
///
/// # Errors
/// When the store does not answer.
pub async fn authority_of(
    app: &App,
    user: &User,
    org: Option<&OrganizationId>,
) -> Result<Authority, ApiError> {
    let membership = match org {
        Some(org) => app.store().membership(org, &user.id).await?,
        None => None,
    };
    let in_org = membership.as_ref().map(|membership| InOrganization {
        role: membership.role,
        roles: &membership.roles,
    });
    Ok(app.registry().declared().authority(&user.roles, in_org))
}

/// The one role that older clients show: the first over the whole server, else the one in the organization, else `user`.
pub fn shown_role(user: &User, authority: &Authority) -> String {
    let first = user.roles.first().or(authority.roles.first());
    first.cloned().unwrap_or_else(|| "user".to_owned())
}

/// What an assignment leads to.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Assigned {
    user_id: UserId,
    org_id: Option<OrganizationId>,
    role: String,
}

/// Gives or takes a role.
///
/// # Errors
/// 403 for who may not or holds less, 404 for who is not there, 409 for what is so already, 422 for an unknown role.
pub async fn assign(app: &App, assignment: AssignRole) -> Result<Assigned, ApiError> {
    let (has, in_org) = (assignment.has, assignment.org_id.is_some());
    let assigned = Assigned {
        user_id: assignment.user_id.clone(),
        org_id: assignment.org_id.clone(),
        role: assignment.role.clone(),
    };
    match app.store().write(assignment).await? {
        RoleAssignment::Done => Ok(assigned),
        RoleAssignment::Already if has => {
            let sentence = "The user has this role already.";
            Err(ApiError::conflict("role_already_assigned", sentence))
        }
        RoleAssignment::Already => Err(ApiError::not_found("The user does not have this role.")),
        RoleAssignment::NoSuchUser if in_org => {
            Err(ApiError::not_found("This user is not a member."))
        }
        RoleAssignment::NoSuchUser => Err(ApiError::not_found("There is no such user.")),
        RoleAssignment::NoSuchOrganization => {
            Err(ApiError::not_found("There is no such organization."))
        }
        RoleAssignment::NoSuchRole => {
            let sentence = "No role of this name is declared.";
            Err(ApiError::unprocessable("no_such_role", sentence))
        }
        RoleAssignment::NotHeld => {
            let sentence = "The role permits something that you do not hold yourself.";
            Err(ApiError::forbidden("beyond_own_rights", sentence))
        }
        RoleAssignment::NotAllowed => {
            let sentence = "You may not assign roles here.";
            Err(ApiError::forbidden("role_too_low", sentence))
        }
    }
}
