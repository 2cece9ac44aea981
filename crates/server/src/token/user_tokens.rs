//! The tokens of a signed-in user, in the shape that the account endpoints answer with.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokensmith_oauth2::{ClientId, Secret};
use tokensmith_store::{OrganizationId, UserId};

use super::{Grant, Subject, UserSubject, issue};
use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, OAuthError, no_store},
    registry::RegisteredClient,
};

/// The tokens of one sign-in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UserTokens {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    access_token: Secret,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    refresh_token: Secret,
    token_type: &'static str,
    expires_in: u64,
    user_id: UserId,
    org_id: Option<OrganizationId>,
}

impl UserTokens {
    /// Whom they are about.
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }
}

impl IntoResponse for UserTokens {
    fn into_response(self) -> Response {
        let mut response = Json(self).into_response();
        no_store(response.headers_mut());
        response
    }
}

/// Sends a grant through the gate and shapes what comes out for the account endpoints.
///
/// # Errors
/// As [`issue`].
pub async fn issue_to_user(
    app: &App,
    client: &RegisteredClient,
    grant: Grant,
    context: &RequestContext,
) -> Result<UserTokens, OAuthError> {
    let Subject::User(UserSubject {
        user_id, org_id, ..
    }) = grant.subject.clone()
    else {
        return Err(super::family::refused("not_of_a_user"));
    };
    let issued = issue(app, client, grant, context).await?.response;
    Ok(UserTokens {
        access_token: issued.access_token,
        refresh_token: issued.refresh_token.unwrap_or_default(),
        token_type: "bearer",
        expires_in: issued.expires_in,
        user_id,
        org_id,
    })
}

/// The client under which the account endpoints issue tokens.
///
/// # Errors
/// 503 when the store does not answer, or somebody removed the client.
pub async fn account_client(app: &App) -> Result<std::sync::Arc<RegisteredClient>, ApiError> {
    let id = ClientId::parse(crate::registry::ACCOUNT_CLIENT).map_err(ApiError::unavailable)?;
    let client = app.registry().client(app.store(), &id).await?;
    client.ok_or_else(|| ApiError::unavailable("the account client is not registered"))
}
