//! Declared roles of a member: for owners and admins, who give and take no more than they hold in the organization.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_store::{AssignRole, Giver, OrganizationId, OrganizationRole, UserId};

use super::{members::require_manager, membership};
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::{PathIds, PathText},
    roles::{self, Assigned},
    token::longest_user_token,
};

/// What a member is and has.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MemberRoles {
    org_id: OrganizationId,
    user_id: UserId,
    role: OrganizationRole,
    roles: Vec<String>,
}

/// The body of an assignment.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoleOfMember)]
pub struct NewRole {
    role: String,
}

/// `GET /api/auth/organizations/{org_id}/members/{user_id}/roles`: roles of a member, for every member.
///
/// # Errors
/// 404 unless both are members.
#[utoipa::path(get, path = "/api/auth/organizations/{org_id}/members/{user_id}/roles", responses((status = 200, body = MemberRoles)), operation_id = "list_member_roles")]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    PathIds(org, member): PathIds<OrganizationId, UserId>,
) -> Result<Json<MemberRoles>, ApiError> {
    membership(&app, &org, &caller.user()?).await?;
    let found = app.store().membership(&org, &member).await?;
    let found = found.ok_or_else(|| ApiError::not_found("This user is not a member."))?;
    Ok(Json(MemberRoles {
        org_id: found.org_id,
        user_id: found.user_id,
        role: found.role,
        roles: found.roles,
    }))
}

/// `POST /api/auth/organizations/{org_id}/members/{user_id}/roles`: gives a member a role.
///
/// # Errors
/// 403 for a member who may not or holds less, 404 for somebody who is not a member, 409, 422 for an unknown role.
#[utoipa::path(post, path = "/api/auth/organizations/{org_id}/members/{user_id}/roles", request_body = NewRole, responses((status = 201, body = Assigned), (status = 409)), operation_id = "give_member_role")]
pub async fn give(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathIds(org, member): PathIds<OrganizationId, UserId>,
    ApiJson(new): ApiJson<NewRole>,
) -> Result<(StatusCode, Json<Assigned>), ApiError> {
    let user = caller.user()?;
    require_manager(&app, &org, &user).await?;
    let assignment = AssignRole {
        user_id: member,
        org_id: Some(org),
        role: new.role,
        has: true,
        giver: Giver::User(user.user_id.clone()),
        revoked_until: context.now + longest_user_token(&app),
        context: context.audit(Some(user.actor())),
    };
    let assigned = roles::assign(&app, assignment).await?;
    Ok((StatusCode::CREATED, Json(assigned)))
}

/// `DELETE /api/auth/organizations/{org_id}/members/{user_id}/roles/{role}`: takes a role of a member away.
///
/// # Errors
/// 403 for a member who may not or holds less, 404 for what is not there.
#[utoipa::path(delete, path = "/api/auth/organizations/{org_id}/members/{user_id}/roles/{role}", responses((status = 204)), operation_id = "take_member_role")]
pub async fn take(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathIds(org, member): PathIds<OrganizationId, UserId>,
    role: PathText<2>,
) -> Result<StatusCode, ApiError> {
    let user = caller.user()?;
    require_manager(&app, &org, &user).await?;
    let assignment = AssignRole {
        user_id: member,
        org_id: Some(org),
        role: role.0,
        has: false,
        giver: Giver::User(user.user_id.clone()),
        revoked_until: context.now + longest_user_token(&app),
        context: context.audit(Some(user.actor())),
    };
    roles::assign(&app, assignment).await?;
    Ok(StatusCode::NO_CONTENT)
}
