//! Groups of an organization. A user sees a group as a member of it or as owner or admin of its organization; for
//! everybody else it does not exist (404). Owners and admins manage it.
//!
//! A service needs a scope: `groups:read` to see a group, `members:read` or `groups:read` to see its members,
//! `groups:write` to change it or its members, `groups:admin` to create or remove one.

mod access;
mod members;

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_store::{
    CreateGroup, Group, GroupChange, GroupId, OrganizationId, RemoveGroup, Timestamp, UpdateGroup,
    UserId,
};

pub use members::{add as add_member, list as list_members, remove as remove_member};

use self::access::{Sight, see_group, see_organization};
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::{Page, PathId, check_description, check_name, next_after},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    list,
    create,
    show,
    change,
    remove,
    members::list,
    members::add,
    members::remove
))]
pub(crate) struct Api;

const READ: &[&str] = &["groups:read"];
const READ_MEMBERS: &[&str] = &["members:read", "groups:read"];
const WRITE: &[&str] = &["groups:write"];
const ADMIN: &[&str] = &["groups:admin"];

/// A group as it is answered.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GroupView {
    id: GroupId,
    name: String,
    description: String,
    org_id: OrganizationId,
    created_at: Timestamp,
    updated_at: Timestamp,
    created_by: Option<UserId>,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            description: group.description,
            org_id: group.org_id,
            created_at: group.created_at,
            updated_at: group.updated_at,
            created_by: group.created_by,
        }
    }
}

/// One page of groups.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GroupList {
    groups: Vec<GroupView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

/// The body of a new group.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewGroup {
    name: String,
    description: Option<String>,
}

/// The body of a change: what is missing or null stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct ChangedGroup {
    name: Option<String>,
    description: Option<String>,
}

/// `POST /api/auth/organizations/{org_id}/groups`: makes a group.
///
/// # Errors
/// 403 for a member who may not, 404 for everybody else, 409 when the name is taken.
#[utoipa::path(post, path = "/api/auth/organizations/{org_id}/groups", request_body = NewGroup, responses((status = 201, body = GroupView), (status = 409)))]
pub async fn create(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(org): PathId<OrganizationId>,
    ApiJson(new): ApiJson<NewGroup>,
) -> Result<(StatusCode, Json<GroupView>), ApiError> {
    caller.require_any_scope(&app, &context, ADMIN).await?;
    see_organization(&app, &caller, &org)
        .await?
        .require_manager()?;
    check_name(&new.name)?;
    let description = new.description.unwrap_or_default();
    check_description(&description)?;
    let id = GroupId::from(app.entropy().uuid(context.now));
    let change = CreateGroup {
        id: id.clone(),
        org_id: org,
        name: new.name,
        description,
        actor: caller.user_id().cloned(),
        context: context.audit(Some(caller.actor())),
    };
    done(app.store().write(change).await?)?;
    Ok((StatusCode::CREATED, Json(group(&app, &id).await?)))
}

/// `GET /api/auth/organizations/{org_id}/groups`: groups of an organization. All for owners, admins and services, for a member their own.
///
/// # Errors
/// 404 for everybody else.
#[utoipa::path(get, path = "/api/auth/organizations/{org_id}/groups", params(crate::extract::PageQuery), responses((status = 200, body = GroupList), (status = 422)))]
pub async fn list(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(org): PathId<OrganizationId>,
    page: Page,
) -> Result<Json<GroupList>, ApiError> {
    caller.require_any_scope(&app, &context, READ).await?;
    let (after, limit) = (page.after.as_str(), page.limit);
    let found = match (
        see_organization(&app, &caller, &org).await?,
        caller.user_id(),
    ) {
        (Sight::Member, Some(user)) => {
            app.store()
                .groups_of_member(&org, user, after, limit)
                .await?
        }
        _ => {
            app.store()
                .groups_of_organization(&org, after, limit)
                .await?
        }
    };
    let next = next_after(&found, limit, |group| group.id.to_string());
    let groups = found.into_iter().map(GroupView::from).collect();
    Ok(Json(GroupList { groups, next }))
}

/// `GET /api/auth/groups/{group_id}`: a group.
///
/// # Errors
/// 403 `insufficient_scope` for a service, 404 for a user who may not see it.
#[utoipa::path(get, path = "/api/auth/groups/{group_id}", responses((status = 200, body = GroupView)))]
pub async fn show(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<GroupId>,
) -> Result<Json<GroupView>, ApiError> {
    caller.require_any_scope(&app, &context, READ).await?;
    let (group, _) = see_group(&app, &caller, &id).await?;
    Ok(Json(group.into()))
}

/// `PATCH /api/auth/groups/{group_id}`: changes its name or description.
///
/// # Errors
/// As [`create`].
#[utoipa::path(patch, path = "/api/auth/groups/{group_id}", request_body = ChangedGroup, responses((status = 200, body = GroupView), (status = 409)))]
pub async fn change(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<GroupId>,
    ApiJson(changed): ApiJson<ChangedGroup>,
) -> Result<Json<GroupView>, ApiError> {
    caller.require_any_scope(&app, &context, WRITE).await?;
    see_group(&app, &caller, &id).await?.1.require_manager()?;
    changed.name.as_deref().map_or(Ok(()), check_name)?;
    changed
        .description
        .as_deref()
        .map_or(Ok(()), check_description)?;
    let change = UpdateGroup {
        id: id.clone(),
        name: changed.name,
        description: changed.description,
        actor: caller.user_id().cloned(),
        context: context.audit(Some(caller.actor())),
    };
    done(app.store().write(change).await?)?;
    group(&app, &id).await.map(Json)
}

/// `DELETE /api/auth/groups/{group_id}`: removes a group.
///
/// # Errors
/// As [`create`].
#[utoipa::path(delete, path = "/api/auth/groups/{group_id}", responses((status = 204)))]
pub async fn remove(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<GroupId>,
) -> Result<StatusCode, ApiError> {
    caller.require_any_scope(&app, &context, ADMIN).await?;
    see_group(&app, &caller, &id).await?.1.require_manager()?;
    let change = RemoveGroup {
        id,
        actor: caller.user_id().cloned(),
        context: context.audit(Some(caller.actor())),
    };
    done(app.store().write(change).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn group(app: &App, id: &GroupId) -> Result<GroupView, ApiError> {
    let group = app.store().group(id).await?;
    group.map(GroupView::from).ok_or_else(no_such_group)
}

fn done(change: GroupChange) -> Result<(), ApiError> {
    match change {
        GroupChange::Done => Ok(()),
        GroupChange::NameTaken => {
            let sentence = "Another group of the organization has this name.";
            Err(ApiError::conflict("group_name_taken", sentence))
        }
        GroupChange::AlreadyMember => {
            let sentence = "This user is a member of the group already.";
            Err(ApiError::conflict("already_member", sentence))
        }
        GroupChange::NotMember => Err(ApiError::not_found(
            "This user is not a member of the group.",
        )),
        GroupChange::NotInOrganization => {
            let sentence = "This user is not a member of the group's organization.";
            Err(ApiError::unprocessable("not_in_organization", sentence))
        }
        GroupChange::NoSuchGroup => Err(no_such_group()),
        GroupChange::NoSuchOrganization => Err(no_such_organization()),
        GroupChange::NotAllowed => Err(not_allowed()),
    }
}

fn no_such_group() -> ApiError {
    ApiError::not_found("There is no such group.")
}

fn no_such_organization() -> ApiError {
    ApiError::not_found("There is no such organization.")
}

fn not_allowed() -> ApiError {
    let sentence = "Your role in this organization does not allow it.";
    ApiError::forbidden("role_too_low", sentence)
}
