//! The older account service under `/api/oauth2`: sign-in, renewal, sign-out, sessions, revocation. Its answers carry
//! the user beside the tokens; everything else is what `/api/auth` does.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::{AuditEvent, EndSession, Timestamp, User, UserId};

use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, ApiJson, no_store},
    login::{self, LoginRequest, SignedIn},
    openapi::Routes,
    registry::ACCOUNT_CLIENT,
    revoke::end_access_token,
    session::{self, RefreshRequest},
    token::{UserTokens, access_token, longest_user_token, refresh_family},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(login, refresh, revoke))]
pub(crate) struct Api;

pub(super) fn routes() -> Routes {
    let path = |rest: &str| format!("/api/oauth2{rest}");
    Routes::new()
        .route(&path("/login"), post(login))
        .route(&path("/refresh"), post(refresh))
        .route(&path("/logout"), post(session::logout))
        .route(
            &path("/sessions"),
            get(session::list).delete(session::end_others),
        )
        .route(&path("/sessions/{token_hash}"), delete(session::end_one))
        .route(&path("/revoke"), post(revoke))
}

/// The body of a sign-in.
#[derive(Deserialize, utoipa::ToSchema)]
struct AccountLogin {
    username: String,
    #[schema(value_type = String)]
    password: Secret,
    #[schema(value_type = Option<String>)]
    code: Option<Secret>,
}

/// Tokens with the user they are about.
#[derive(Serialize, utoipa::ToSchema)]
struct AccountTokens {
    #[serde(flatten)]
    tokens: UserTokens,
    user: AccountUser,
}

#[derive(Serialize, utoipa::ToSchema)]
struct AccountUser {
    id: UserId,
    username: Option<String>,
    email: String,
    role: String,
    is_active: bool,
    created_at: Timestamp,
}

impl From<User> for AccountUser {
    fn from(user: User) -> Self {
        Self {
            role: user.role().to_owned(),
            id: user.id,
            username: user.username,
            email: user.email,
            is_active: user.is_active,
            created_at: user.created_at,
        }
    }
}

/// `POST /api/oauth2/login`: signs in by username or address.
#[utoipa::path(post, path = "/api/oauth2/login", request_body = AccountLogin, responses((status = 200, body = AccountTokens), (status = 401), (status = 429), (status = 503)), security(()), operation_id = "older_login")]
async fn login(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    ApiJson(request): ApiJson<AccountLogin>,
) -> Result<Response, ApiError> {
    let request = LoginRequest::new(request.username, request.password, request.code);
    match login::sign_in(&app, &request, &headers, &context).await? {
        SignedIn::Tokens(tokens) => with_user(&app, tokens).await,
        SignedIn::Pending(pending) => Ok(pending.into_response()),
    }
}

/// `POST /api/oauth2/refresh`: renews the tokens of a session.
#[utoipa::path(post, path = "/api/oauth2/refresh", request_body = RefreshRequest, responses((status = 200, body = AccountTokens), (status = 401), (status = 503)), security(()), operation_id = "older_refresh")]
async fn refresh(
    State(app): State<App>,
    context: RequestContext,
    request: ApiJson<RefreshRequest>,
) -> Result<Response, ApiError> {
    let tokens = session::refresh(State(app.clone()), context, request).await?;
    with_user(&app, tokens).await
}

async fn with_user(app: &App, tokens: UserTokens) -> Result<Response, ApiError> {
    let user = app.store().user(tokens.user_id()).await?;
    let gone = || ApiError::unauthorized("user_gone", "The account is no longer there.");
    let user = user.ok_or_else(gone)?.into();
    let mut response = Json(AccountTokens { tokens, user }).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = HeldToken)]
struct RevokeRequest {
    #[schema(value_type = String)]
    token: Secret,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Revoked {
    revoked: bool,
}

/// `POST /api/oauth2/revoke`: ends a token. Who holds a token of a sign-in may end it: an access token alone, a refresh token with its session. Tokens of other
/// clients are ended at the standard endpoint, where their client authenticates.
#[utoipa::path(post, path = "/api/oauth2/revoke", request_body = RevokeRequest, responses((status = 200, body = Revoked)), security(()), operation_id = "older_revoke")]
async fn revoke(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<RevokeRequest>,
) -> Result<Json<Revoked>, ApiError> {
    let revoked = end(&app, &request.token, &context).await?;
    if !revoked {
        let event = AuditEvent::new("token_invalid").outcome("token_not_ours");
        app.audit(context.audit(None), event).await?;
    }
    Ok(Json(Revoked { revoked }))
}

async fn end(app: &App, token: &Secret, context: &RequestContext) -> Result<bool, ApiError> {
    if let Some(claims) = access_token(app, token.expose(), context.now) {
        let is_of_sign_in = claims.client_id.as_str() == ACCOUNT_CLIENT;
        return Ok(is_of_sign_in && end_access_token(app, &claims, context).await?);
    }
    let family = refresh_family(app, token).await?.map(|(family, _)| family);
    let family = family.filter(|family| family.client_id.as_str() == ACCOUNT_CLIENT);
    let Some((session, user)) = family.and_then(|family| family.session_id.zip(family.user_id))
    else {
        return Ok(false);
    };
    let end = EndSession {
        id: session,
        reason: "revoked_by_user",
        revoked_until: context.now + longest_user_token(app),
        context: context.audit(Some(format!("user:{user}"))),
        user_id: Some(user),
    };
    Ok(app.store().write(end).await?.sessions > 0)
}
