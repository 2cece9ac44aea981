//! Organizations: who is in them, as what. For people alone; a service's token is refused.
//!
//! To everybody but its members an organization does not exist (404). Roles are read anew for every request, and the
//! store proves them again in the transaction that changes something.

mod invitations;
mod members;
mod roles;
mod state;
mod switch;

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_store::{
    CreateOrganization, Membership, Organization, OrganizationCreation, OrganizationId,
    OrganizationRole, Timestamp, UserId,
};

pub use invitations::{
    accept as accept_invitation, invite, list as list_invitations, revoke as revoke_invitation,
};
pub use members::{add, change, list as list_members, remove};
pub use roles::{give as give_role, list as list_roles, take as take_role};
pub use state::set_active;
pub use switch::switch;

use crate::{
    app::App,
    caller::{Caller, UserCaller},
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::{Page, PathId, check_name, next_after},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    list,
    create,
    show,
    members::list,
    members::add,
    members::change,
    members::remove,
    roles::list,
    roles::give,
    roles::take,
    switch::switch,
    invitations::list,
    invitations::invite,
    invitations::revoke,
    invitations::accept
))]
pub(crate) struct Api;

/// An organization as its members see it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OrganizationView {
    id: OrganizationId,
    name: String,
    is_active: bool,
    created_at: Timestamp,
    created_by: Option<UserId>,
    /// What the caller is in it.
    role: OrganizationRole,
}

impl OrganizationView {
    fn new(organization: Organization, role: OrganizationRole) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            is_active: organization.is_active,
            created_at: organization.created_at,
            created_by: organization.created_by,
            role,
        }
    }
}

/// One page of organizations.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OrganizationList {
    organizations: Vec<OrganizationView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

/// The body of a new organization.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewOrganization {
    name: String,
}

/// `POST /api/auth/organizations`: makes an organization. The caller becomes its owner.
///
/// # Errors
/// 409 when the name is taken.
#[utoipa::path(post, path = "/api/auth/organizations", request_body = NewOrganization, responses((status = 201, body = OrganizationView), (status = 409)))]
pub async fn create(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(new): ApiJson<NewOrganization>,
) -> Result<(StatusCode, Json<OrganizationView>), ApiError> {
    let user = caller.user()?;
    check_name(&new.name)?;
    let id = OrganizationId::from(app.entropy().uuid(context.now));
    let organization = CreateOrganization {
        id: id.clone(),
        name: new.name,
        owner: user.user_id.clone(),
        context: context.audit(Some(user.actor())),
    };
    match app.store().write(organization).await? {
        OrganizationCreation::Created => {}
        OrganizationCreation::NameTaken => {
            let sentence = "Another organization has this name.";
            return Err(ApiError::conflict("organization_name_taken", sentence));
        }
        OrganizationCreation::NoSuchOwner => return Err(no_such_organization()),
    }
    let view = view(&app, &membership(&app, &id, &user).await?).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// `GET /api/auth/organizations`: organizations the caller belongs to.
///
/// # Errors
/// 401, 403 for a service, 422.
#[utoipa::path(get, path = "/api/auth/organizations", params(crate::extract::PageQuery), responses((status = 200, body = OrganizationList), (status = 422)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    page: Page,
) -> Result<Json<OrganizationList>, ApiError> {
    let user = caller.user()?.user_id;
    let found = app
        .store()
        .organizations_of(&user, &page.after, page.limit)
        .await?;
    let next = next_after(&found, page.limit, |found| {
        found.organization.id.to_string()
    });
    let organizations = found.into_iter();
    let organizations =
        organizations.map(|found| OrganizationView::new(found.organization, found.role));
    Ok(Json(OrganizationList {
        organizations: organizations.collect(),
        next,
    }))
}

/// `GET /api/auth/organizations/{id}`: one the caller belongs to.
///
/// # Errors
/// 404 unless the caller is a member.
#[utoipa::path(get, path = "/api/auth/organizations/{org_id}", responses((status = 200, body = OrganizationView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<OrganizationId>,
) -> Result<Json<OrganizationView>, ApiError> {
    let membership = membership(&app, &id, &caller.user()?).await?;
    view(&app, &membership).await.map(Json)
}

async fn view(app: &App, membership: &Membership) -> Result<OrganizationView, ApiError> {
    let organization = app.store().organization(&membership.org_id).await?;
    let organization = organization.ok_or_else(no_such_organization)?;
    Ok(OrganizationView::new(organization, membership.role))
}

/// The caller's membership, without which the organization does not exist for them.
async fn membership(
    app: &App,
    org: &OrganizationId,
    user: &UserCaller,
) -> Result<Membership, ApiError> {
    let membership = app.store().membership(org, &user.user_id).await?;
    membership.ok_or_else(no_such_organization)
}

fn no_such_organization() -> ApiError {
    ApiError::not_found("There is no such organization.")
}
