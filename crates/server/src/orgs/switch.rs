//! Another organization in the same session: new tokens that speak of it, and the tokens that asked for them end.

use axum::extract::State;
use tokensmith_store::{EndFamilies, FamilyScope, OrganizationId};

use super::membership;
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::ApiError,
    extract::PathId,
    session,
    token::{UserSubject, UserTokens, longest_user_token},
};

/// `POST /api/auth/organizations/{org_id}/switch`: tokens for another organization in the same session.
///
/// # Errors
/// 401, 403 for a service, 404 unless the caller is a member, 409 for a token that is in no session.
#[utoipa::path(post, path = "/api/auth/organizations/{org_id}/switch", responses((status = 200, body = UserTokens), (status = 409)), operation_id = "switch_organization")]
pub async fn switch(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(org): PathId<OrganizationId>,
) -> Result<UserTokens, ApiError> {
    let user = caller.user()?;
    let membership = membership(&app, &org, &user).await?;
    let actor = user.actor();
    let Some(session_id) = user.session_id else {
        let sentence = "The token belongs to no session. Sign in again.";
        return Err(ApiError::conflict("no_session", sentence));
    };
    let subject = UserSubject {
        user_id: user.user_id,
        org_id: Some(membership.org_id),
        session_id,
    };
    let tokens = session::tokens(&app, subject, &context).await?;
    // Afterwards, so that who is refused keeps what they had. A session has no more families than it has tabs.
    let family = user.grant_id.and_then(|family| family.parse().ok());
    if let Some(family) = family {
        let end = EndFamilies {
            scope: FamilyScope::Family(family),
            reason: "organization_switched",
            revoked_until: context.now + longest_user_token(&app),
            context: context.audit(Some(actor)),
        };
        app.store().write(end).await?;
    }
    Ok(tokens)
}
