//! Members of an organization: owners and admins manage them, only owners make and unmake owners, and the last owner
//! stays (409). A member may leave.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_store::{
    AddMember, ChangeMemberRole, MembershipChange, OrganizationId, OrganizationMember,
    OrganizationRole, RemoveMember, Timestamp, UserId,
};

use super::{membership, no_such_organization};
use crate::{
    app::App,
    caller::{Caller, UserCaller},
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::{Page, PathId, PathIds, next_after},
    token::longest_user_token,
};

/// A member as the others see them.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct MemberView {
    user_id: UserId,
    email: String,
    role: OrganizationRole,
    added_at: Timestamp,
    added_by: Option<UserId>,
}

impl From<OrganizationMember> for MemberView {
    fn from(member: OrganizationMember) -> Self {
        Self {
            user_id: member.membership.user_id,
            email: member.email,
            role: member.membership.role,
            added_at: member.membership.added_at,
            added_by: member.membership.added_by,
        }
    }
}

/// One page of members.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MemberList {
    members: Vec<MemberView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

/// The body of a new member: by id or by address.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewMember {
    user_id: Option<UserId>,
    email: Option<String>,
    #[serde(default = "member")]
    role: OrganizationRole,
}

fn member() -> OrganizationRole {
    OrganizationRole::Member
}

/// The body of a change.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewRole {
    role: OrganizationRole,
}

/// What a change of members leads to.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MemberRole {
    org_id: OrganizationId,
    user_id: UserId,
    role: OrganizationRole,
}

/// `GET /api/auth/organizations/{id}/members`: who is in an organization, for every member of it.
///
/// # Errors
/// 404 unless the caller is a member.
#[utoipa::path(get, path = "/api/auth/organizations/{org_id}/members", params(crate::extract::PageQuery), responses((status = 200, body = MemberList), (status = 422)), operation_id = "list_members")]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    PathId(org): PathId<OrganizationId>,
    page: Page,
) -> Result<Json<MemberList>, ApiError> {
    membership(&app, &org, &caller.user()?).await?;
    let found = app.store().members(&org, &page.after, page.limit).await?;
    let next = next_after(&found, page.limit, |member| {
        member.membership.user_id.to_string()
    });
    let members = found.into_iter().map(MemberView::from).collect();
    Ok(Json(MemberList { members, next }))
}

/// `POST /api/auth/organizations/{id}/members`: adds a member, by id or by address.
///
/// # Errors
/// 403 for a member who may not, 409 for one who is a member, 422 for an unknown user.
#[utoipa::path(post, path = "/api/auth/organizations/{org_id}/members", request_body = NewMember, responses((status = 201, body = MemberRole), (status = 409)), operation_id = "add_member")]
pub async fn add(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(org): PathId<OrganizationId>,
    ApiJson(new): ApiJson<NewMember>,
) -> Result<(StatusCode, Json<MemberRole>), ApiError> {
    let user = caller.user()?;
    require_manager(&app, &org, &user).await?;
    let added = named_user(&app, &user, &new, &context).await?;
    let change = AddMember {
        org_id: org.clone(),
        user_id: added.clone(),
        role: new.role,
        actor: Some(user.user_id.clone()),
        context: context.audit(Some(user.actor())),
    };
    done(app.store().write(change).await?)?;
    let member = MemberRole {
        org_id: org,
        user_id: added,
        role: new.role,
    };
    Ok((StatusCode::CREATED, Json(member)))
}

/// `PATCH /api/auth/organizations/{id}/members/{user_id}`: gives a member another role.
///
/// # Errors
/// 403 for a member who may not, 404 for somebody who is not a member, 409 for the last owner.
#[utoipa::path(patch, path = "/api/auth/organizations/{org_id}/members/{user_id}", request_body = NewRole, responses((status = 200, body = MemberRole), (status = 409)), operation_id = "change_member")]
pub async fn change(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathIds(org, member): PathIds<OrganizationId, UserId>,
    ApiJson(new): ApiJson<NewRole>,
) -> Result<Json<MemberRole>, ApiError> {
    let user = caller.user()?;
    require_manager(&app, &org, &user).await?;
    let change = ChangeMemberRole {
        org_id: org.clone(),
        user_id: member.clone(),
        role: new.role,
        actor: Some(user.user_id.clone()),
        revoked_until: context.now + longest_user_token(&app),
        context: context.audit(Some(user.actor())),
    };
    done(app.store().write(change).await?)?;
    Ok(Json(MemberRole {
        org_id: org,
        user_id: member,
        role: new.role,
    }))
}

/// `DELETE /api/auth/organizations/{id}/members/{user_id}`: removes a member, also from every group of the organization.
///
/// # Errors
/// 403 for a member who may not, 404 for somebody who is not a member, 409 for the last owner.
#[utoipa::path(delete, path = "/api/auth/organizations/{org_id}/members/{user_id}", responses((status = 204), (status = 409)), operation_id = "remove_member")]
pub async fn remove(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathIds(org, member): PathIds<OrganizationId, UserId>,
) -> Result<StatusCode, ApiError> {
    let user = caller.user()?;
    if user.user_id == member {
        membership(&app, &org, &user).await?;
    } else {
        require_manager(&app, &org, &user).await?;
    }
    let change = RemoveMember {
        org_id: org,
        user_id: member,
        actor: Some(user.user_id.clone()),
        revoked_until: context.now + longest_user_token(&app),
        context: context.audit(Some(user.actor())),
    };
    done(app.store().write(change).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn require_manager(
    app: &App,
    org: &OrganizationId,
    user: &UserCaller,
) -> Result<(), ApiError> {
    let role = membership(app, org, user).await?.role;
    if role >= OrganizationRole::Admin {
        return Ok(());
    }
    Err(not_allowed())
}

/// The one user the body names. Whoever asks for many unknown addresses is slowed down.
async fn named_user(
    app: &App,
    caller: &UserCaller,
    new: &NewMember,
    context: &RequestContext,
) -> Result<UserId, ApiError> {
    match (&new.user_id, &new.email) {
        (Some(id), None) => Ok(id.clone()),
        (None, Some(email)) if email.contains('@') => {
            if let Some(user) = app.store().user_by_login(email).await? {
                return Ok(user.id);
            }
            app.limits()
                .count_unknown_address(&caller.user_id, context.now)
                .await
                .map_err(|limited| ApiError::rate_limited(limited.retry_after))?;
            Err(no_such_user())
        }
        (None, Some(_)) => Err(no_such_user()),
        _ => {
            let sentence = "Name the user by user_id or by email, not by both.";
            Err(ApiError::unprocessable("one_user", sentence))
        }
    }
}

fn done(change: MembershipChange) -> Result<(), ApiError> {
    match change {
        MembershipChange::Done => Ok(()),
        MembershipChange::AlreadyMember => {
            let sentence = "This user is a member already.";
            Err(ApiError::conflict("already_member", sentence))
        }
        MembershipChange::LastOwner => {
            let sentence = "The last owner can be neither removed nor demoted.";
            Err(ApiError::conflict("last_owner", sentence))
        }
        MembershipChange::NotMember => Err(ApiError::not_found("This user is not a member.")),
        MembershipChange::NoSuchUser => Err(no_such_user()),
        MembershipChange::NoSuchOrganization => Err(no_such_organization()),
        MembershipChange::NotAllowed => Err(not_allowed()),
    }
}

fn no_such_user() -> ApiError {
    ApiError::unprocessable("no_such_user", "There is no such user.")
}

pub(super) fn not_allowed() -> ApiError {
    let sentence = "Your role in this organization does not allow it.";
    ApiError::forbidden("role_too_low", sentence)
}
