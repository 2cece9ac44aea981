//! Disabling and enabling an organization: for who may everything.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tokensmith_store::OrganizationId;

use super::{kind::nothing, rights::Administrator};
use crate::{
    app::App,
    error::{ApiError, ApiJson},
    extract::PathId,
    orgs,
};

/// The body of a change.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrganizationChange)]
pub(super) struct NewState {
    is_active: bool,
}

/// An organization as it is now.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct OrganizationState {
    org_id: OrganizationId,
    name: String,
    is_active: bool,
}

/// `PATCH /api/admin/v1/organizations/{org_id}`: disables or enables an organization. A disabled organization's tokens end at once.
///
/// # Errors
/// 401, 403, 404, 422.
#[utoipa::path(patch, path = "/api/admin/v1/organizations/{org_id}", request_body = NewState, responses((status = 200, body = OrganizationState)), operation_id = "change_organization_state")]
pub(super) async fn change(
    State(app): State<App>,
    administrator: Administrator,
    PathId(org_id): PathId<OrganizationId>,
    ApiJson(new): ApiJson<NewState>,
) -> Result<Json<OrganizationState>, ApiError> {
    administrator.may_everything()?;
    let found = app.store().organization(&org_id).await?;
    let found = found.ok_or_else(nothing)?;
    let context = &administrator.context;
    let by = context.audit(Some(administrator.actor.clone()));
    let until = context.now + crate::token::longest_user_token(&app);
    orgs::set_active(app.store(), &org_id, new.is_active, until, by).await?;
    Ok(Json(OrganizationState {
        org_id,
        name: found.name,
        is_active: new.is_active,
    }))
}
