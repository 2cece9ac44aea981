//! Roles of users over the whole server: for who may manage users, and only what they hold themselves.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokensmith_store::{AssignRole, UserId};

use super::{kind::nothing, rights::Administrator};
use crate::{
    app::App,
    error::{ApiError, ApiJson, no_store},
    extract::{PathId, PathText},
    roles::{self, Assigned},
    token::longest_user_token,
};

/// The body of an assignment.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoleOfUser)]
pub(super) struct NewRole {
    role: String,
}

/// `GET /api/admin/v1/users/{user_id}/roles`: roles and permissions of a user.
///
/// # Errors
/// 401, 403, 404.
#[utoipa::path(get, path = "/api/admin/v1/users/{user_id}/roles", responses((status = 200, body = serde_json::Value)), operation_id = "list_user_roles")]
pub(super) async fn list(
    State(app): State<App>,
    _: Administrator,
    PathId(id): PathId<UserId>,
) -> Result<Response, ApiError> {
    let user = app.store().user(&id).await?.ok_or_else(nothing)?;
    let authority = roles::authority_of(&app, &user, None).await?;
    let view = json!({
        "user_id": user.id, "roles": user.roles, "effective_roles": authority.roles,
        "permissions": authority.permissions,
    });
    let mut response = Json(view).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

/// `POST /api/admin/v1/users/{user_id}/roles`: gives a user a role.
///
/// # Errors
/// 401, 403 also for a role that permits what the caller does not hold, 404, 409, 422 for a role nobody declared.
#[utoipa::path(post, path = "/api/admin/v1/users/{user_id}/roles", request_body = NewRole, responses((status = 201, body = Assigned), (status = 409)), operation_id = "give_user_role")]
pub(super) async fn give(
    State(app): State<App>,
    administrator: Administrator,
    PathId(user_id): PathId<UserId>,
    ApiJson(new): ApiJson<NewRole>,
) -> Result<(StatusCode, Json<Assigned>), ApiError> {
    let assignment = assignment(&app, &administrator, user_id, new.role)?;
    let assigned = roles::assign(&app, assignment).await?;
    Ok((StatusCode::CREATED, Json(assigned)))
}

/// `DELETE /api/admin/v1/users/{user_id}/roles/{role}`: takes a role away.
///
/// # Errors
/// 401, 403 also for a role that permits what the caller does not hold, 404.
#[utoipa::path(delete, path = "/api/admin/v1/users/{user_id}/roles/{role}", responses((status = 204)), operation_id = "take_user_role")]
pub(super) async fn take(
    State(app): State<App>,
    administrator: Administrator,
    PathId(user_id): PathId<UserId>,
    PathText(role): PathText<1>,
) -> Result<StatusCode, ApiError> {
    let assignment = AssignRole {
        has: false,
        ..assignment(&app, &administrator, user_id, role)?
    };
    roles::assign(&app, assignment).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn assignment(
    app: &App,
    administrator: &Administrator,
    user_id: UserId,
    role: String,
) -> Result<AssignRole, ApiError> {
    let context = &administrator.context;
    Ok(AssignRole {
        user_id,
        org_id: None,
        role,
        has: true,
        giver: administrator.giver()?,
        revoked_until: context.now + longest_user_token(app),
        context: context.audit(Some(administrator.actor.clone())),
    })
}
