//! Sessions, from the proved sign-in on: `POST /api/auth/refresh` renews their tokens, `POST /api/auth/logout` ends
//! them all; `/api/auth/sessions` lists them and ends one or all others.

mod begin;
mod device;
mod device_secret;
mod list;
pub(crate) mod pending;
mod recent;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::EndSessionsOf;

use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson, OAuthError},
    registry::RegisteredClient,
    token::{UserTokens, account_client, issue_to_user, longest_user_token, present},
};

pub use begin::{Begun, SignIn, begin, tokens};
pub use device_secret::remember_device;
pub use list::{Ended, end_one, end_others, list};
pub use pending::Pending;
pub use recent::{check_recent, current, is_recent, recent};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(refresh, logout, list::list, list::end_one, list::end_others))]
pub(crate) struct Api;

/// The body of a renewal.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct RefreshRequest {
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// `POST /api/auth/refresh`: renews the tokens of a session. The same as the refresh token grant of the account client.
///
/// # Errors
/// 401 with one sentence for every token that is no good.
#[utoipa::path(post, path = "/api/auth/refresh", request_body = RefreshRequest, responses((status = 200, body = UserTokens), (status = 401), (status = 503)), security(()))]
pub async fn refresh(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<RefreshRequest>,
) -> Result<UserTokens, ApiError> {
    let client = account_client(&app).await?;
    match renewed(&app, &client, &request.refresh_token, &context).await {
        Ok(tokens) => Ok(tokens),
        Err(error) => {
            let event = error
                .event("token_refused")
                .client(&client.client.client_id);
            app.audit(context.audit(None), event).await?;
            Err(error.into())
        }
    }
}

async fn renewed(
    app: &App,
    client: &RegisteredClient,
    token: &Secret,
    context: &RequestContext,
) -> Result<UserTokens, OAuthError> {
    let grant = present(app, client, token, context).await?;
    issue_to_user(app, client, grant, context).await
}

/// What a sign-out ended.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SignedOut {
    message: &'static str,
    revoked_tokens: u64,
}

/// `POST /api/auth/logout`: signs out. Every session of the user ends now, with all its tokens.
///
/// # Errors
/// 401, 403 for a service.
#[utoipa::path(post, path = "/api/auth/logout", responses((status = 200, body = SignedOut)))]
pub async fn logout(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Json<SignedOut>, ApiError> {
    let user = caller.user()?;
    let ended = app.store().write(EndSessionsOf {
        reason: "logout",
        except: None,
        revoked_until: context.now + longest_user_token(&app),
        context: context.audit(Some(user.actor())),
        user_id: user.user_id,
    });
    let revoked_tokens = ended.await?.families;
    Ok(Json(SignedOut {
        message: "You are signed out.",
        revoked_tokens,
    }))
}
