//! Members of a group: members of its organization whom an owner or admin, or a service with `groups:write`, put in.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_store::{
    AddGroupMember, GroupId, GroupMember, RemoveGroupMember, Timestamp, UserId,
};

use super::{READ_MEMBERS, WRITE, access::see_group, done};
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::{Page, PathId, PathIds, next_after},
};

/// A service that checks who may do something wants them all, so a page is large here.
const PAGE: i64 = 1000;

/// A member as it is answered.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GroupMemberView {
    user_id: UserId,
    email: String,
    added_at: Timestamp,
    added_by: Option<UserId>,
}

impl From<GroupMember> for GroupMemberView {
    fn from(member: GroupMember) -> Self {
        Self {
            user_id: member.user_id,
            email: member.email,
            added_at: member.added_at,
            added_by: member.added_by,
        }
    }
}

/// One page of members.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GroupMemberList {
    members: Vec<GroupMemberView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

/// The body of a new member.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewGroupMember {
    user_id: UserId,
}

/// What an addition leads to.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AddedMember {
    group_id: GroupId,
    user_id: UserId,
    added_at: Timestamp,
    added_by: Option<UserId>,
}

/// `GET /api/auth/groups/{group_id}/members`: who is in a group.
///
/// # Errors
/// 403 `insufficient_scope` for a service, 404 for a user who may not see the group.
#[utoipa::path(get, path = "/api/auth/groups/{group_id}/members", params(crate::extract::PageQuery), responses((status = 200, body = GroupMemberList), (status = 422)), operation_id = "list_members")]
pub async fn list(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<GroupId>,
    page: Page<PAGE, PAGE>,
) -> Result<Json<GroupMemberList>, ApiError> {
    caller
        .require_any_scope(&app, &context, READ_MEMBERS)
        .await?;
    see_group(&app, &caller, &id).await?;
    let found = app
        .store()
        .group_members(&id, &page.after, page.limit)
        .await?;
    let next = next_after(&found, page.limit, |member| member.user_id.to_string());
    let members = found.into_iter().map(GroupMemberView::from).collect();
    Ok(Json(GroupMemberList { members, next }))
}

/// `POST /api/auth/groups/{group_id}/members`: adds a member of the organization.
///
/// # Errors
/// 403 for a member who may not, 404, 409 for a member, 422 for somebody of another organization.
#[utoipa::path(post, path = "/api/auth/groups/{group_id}/members", request_body = NewGroupMember, responses((status = 201, body = AddedMember), (status = 409)), operation_id = "add_member")]
pub async fn add(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<GroupId>,
    ApiJson(new): ApiJson<NewGroupMember>,
) -> Result<(StatusCode, Json<AddedMember>), ApiError> {
    caller.require_any_scope(&app, &context, WRITE).await?;
    see_group(&app, &caller, &id).await?.1.require_manager()?;
    let change = AddGroupMember {
        group_id: id.clone(),
        user_id: new.user_id.clone(),
        actor: caller.user_id().cloned(),
        context: context.audit(Some(caller.actor())),
    };
    done(app.store().write(change).await?)?;
    let added = AddedMember {
        group_id: id,
        user_id: new.user_id,
        added_at: context.now,
        added_by: caller.user_id().cloned(),
    };
    Ok((StatusCode::CREATED, Json(added)))
}

/// `DELETE /api/auth/groups/{group_id}/members/{user_id}`: removes a member. A member may leave.
///
/// # Errors
/// 403 for a member who may not, 404 for somebody who is not in the group.
#[utoipa::path(delete, path = "/api/auth/groups/{group_id}/members/{user_id}", responses((status = 204)), operation_id = "remove_member")]
pub async fn remove(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathIds(id, member): PathIds<GroupId, UserId>,
) -> Result<StatusCode, ApiError> {
    caller.require_any_scope(&app, &context, WRITE).await?;
    let (_, sight) = see_group(&app, &caller, &id).await?;
    if caller.user_id() != Some(&member) {
        sight.require_manager()?;
    }
    let change = RemoveGroupMember {
        group_id: id,
        user_id: member,
        actor: caller.user_id().cloned(),
        context: context.audit(Some(caller.actor())),
    };
    done(app.store().write(change).await?)?;
    Ok(StatusCode::NO_CONTENT)
}
