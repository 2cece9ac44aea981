//! `GET /api/oauth2/me`: who is signed in, and what they may do in the organization of their token, read anew.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokensmith_store::{OrganizationId, UserId};

use super::{authority_of, shown_role};
use crate::{
    app::App,
    caller::Caller,
    error::{ApiError, no_store},
};

/// The user as older clients read it; the organization and every role beside it.
#[derive(Serialize, utoipa::ToSchema)]
struct Me {
    id: UserId,
    username: Option<String>,
    email: String,
    role: String,
    roles: Vec<String>,
    permissions: BTreeSet<String>,
    org_id: Option<OrganizationId>,
    is_active: bool,
}

/// `GET /api/oauth2/me`: who is signed in, and what they may do.
///
/// # Errors
/// 401, 403 for a service, 503.
#[utoipa::path(get, path = "/api/oauth2/me", responses((status = 200, body = Me)))]
pub async fn me(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let caller = caller.user()?;
    let user = app.store().user(&caller.user_id).await?;
    let gone = || ApiError::not_found("There is no such user.");
    let user = user.ok_or_else(gone)?;
    let org_id: Option<OrganizationId> = caller.org_id.and_then(|org| org.parse().ok());
    let authority = authority_of(&app, &user, org_id.as_ref()).await?;
    let me = Me {
        role: shown_role(&user, &authority),
        id: user.id,
        username: user.username,
        email: user.email,
        roles: authority.roles,
        permissions: authority.permissions,
        org_id,
        is_active: user.is_active,
    };
    let mut response = Json(me).into_response();
    no_store(response.headers_mut());
    Ok(response)
}
