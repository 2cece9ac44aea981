//! The older machine-to-machine service: `POST /token`, `/refresh` and `/revoke`, `GET /protected` and `/admin-only`.
//!
//! Bodies and sentences are that service's; client authentication, the gate every token goes through and the records
//! are those of the standard endpoints. Whoever holds a token may renew or end it here, as it was there, so only
//! tokens about clients are taken. Refuses users' tokens.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::{ClientId, GrantType, Secret, TokenResponse, challenge};
use tokensmith_store::{AuditEvent, RefreshFamily};

use crate::{
    app::App,
    caller::{Caller, ServiceCaller},
    client_auth::{StrictForm, authenticate_by_secret},
    context::RequestContext,
    error::{ApiError, ApiJson, OAuthError, no_store},
    rate_limit::{Counted, count},
    registry::RegisteredClient,
    revoke::end_access_token,
    token::{self, Grant, Redemption, Subject, issue},
};

const REUSED: &str = "Refresh token reuse detected";

/// What a sign-in and a renewal answer with.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct MachineTokens {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    access_token: Secret,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    refresh_token: Secret,
    token_type: &'static str,
}

impl From<TokenResponse> for MachineTokens {
    fn from(response: TokenResponse) -> Self {
        Self {
            access_token: response.access_token,
            refresh_token: response.refresh_token.unwrap_or_default(),
            token_type: "bearer",
        }
    }
}

impl IntoResponse for MachineTokens {
    fn into_response(self) -> Response {
        let mut response = Json(self).into_response();
        no_store(response.headers_mut());
        response
    }
}

/// An answer that only says what happened.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MachineMessage)]
pub(super) struct Message {
    message: &'static str,
}

/// `POST /token`: a client signs in with its id as `username` and its secret as `password`.
#[utoipa::path(post, path = "/token", request_body(content = crate::openapi::MachineSignIn, content_type = "application/x-www-form-urlencoded"), responses((status = 200, body = MachineTokens), (status = 401), (status = 422), (status = 429)))]
pub(super) async fn token(
    State(app): State<App>,
    request: Request,
) -> Result<MachineTokens, ApiError> {
    let StrictForm { form, context, .. } = StrictForm::read(request, &app).await?;
    let missing = |refusal, sentence| ApiError::unprocessable(refusal, sentence);
    let id = form.one("username").map_err(OAuthError::from)?;
    let id = id.ok_or_else(|| missing("username_missing", "The parameter username is missing."))?;
    let secret = form.one("password").map_err(OAuthError::from)?;
    let secret =
        secret.ok_or_else(|| missing("password_missing", "The parameter password is missing."))?;
    let named = ClientId::parse(id).ok();
    count(&app, Counted::Machine(named.as_ref()), &context).await?;
    let client = authenticate_by_secret(&app, id, Secret::from(secret), &context)
        .await
        .map_err(unauthorized)?;
    let granted = async {
        token::may_use(&client, GrantType::ClientCredentials)?;
        token::may_use(&client, GrantType::RefreshToken)?;
        let scope = client.client.scope.clone();
        let grant = Grant {
            default_scope: Some(scope).filter(|scope| !scope.is_empty()),
            requested_scope: token::requested_scope(&form)?,
            redemption: Redemption::NewFamily,
            ..Grant::new(
                "machine_login",
                Subject::Client,
                client.allowed_scope.clone(),
            )
        };
        issue(&app, &client, grant, &context).await
    };
    let issued = recorded(&app, &client, granted.await, &context).await?;
    let event = AuditEvent::new("login_success")
        .client(&client.client.client_id)
        .outcome("success");
    app.audit(context.audit(Some(actor(&client))), event)
        .await?;
    Ok(issued.response.into())
}

/// The body of a renewal.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = MachineRenewal)]
pub(super) struct RefreshRequest {
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// `POST /refresh`: renews a client's tokens, both new. A spent one shown again ends the family.
#[utoipa::path(post, path = "/refresh", request_body = RefreshRequest, responses((status = 200, body = MachineTokens), (status = 401), (status = 429)))]
pub(super) async fn refresh(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<RefreshRequest>,
) -> Result<MachineTokens, ApiError> {
    let token = &request.refresh_token;
    let family = token::refresh_family(&app, token).await?;
    let family = family.filter(|(family, _)| family.user_id.is_none());
    let client = match &family {
        Some((family, _)) => {
            app.registry()
                .client(app.store(), &family.client_id)
                .await?
        }
        None => None,
    };
    let named = client.as_ref().map(|client| &client.client.client_id);
    count(&app, Counted::Machine(named), &context).await?;
    let (Some((family, generation)), Some(client)) = (family, client) else {
        let event = AuditEvent::new("refresh_token_invalid").outcome("refresh_token_unknown");
        app.audit(context.audit(None), event).await?;
        return Err(not_renewed("refresh_token_unknown"));
    };
    let renewed = async {
        token::may_use(&client, GrantType::RefreshToken)?;
        let grant = token::present(&app, &client, token, &context).await?;
        issue(&app, &client, grant, &context).await
    };
    let renewed = recorded(&app, &client, renewed.await, &context).await;
    renewed
        .map(|issued| issued.response.into())
        .map_err(|error| reused(error, &family, generation))
}

/// What the older service says when a spent token comes again, however long its family has been over.
fn reused(error: ApiError, family: &RefreshFamily, generation: i64) -> ApiError {
    let is_refused = error.status() == StatusCode::UNAUTHORIZED;
    if error.refusal() == "refresh_token_reuse" || (is_refused && generation < family.generation) {
        return ApiError::unauthorized("refresh_token_reuse", REUSED)
            .with_challenge(challenge::Bearer::new());
    }
    error
}

/// The body of a revocation.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = MachineRevocation)]
pub(super) struct RevokeRequest {
    #[schema(value_type = String)]
    access_token: Secret,
}

/// `POST /revoke`: the access token is refused from now on.
#[utoipa::path(post, path = "/revoke", request_body = RevokeRequest, responses((status = 200, body = Message), (status = 401), (status = 429)))]
pub(super) async fn revoke(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<RevokeRequest>,
) -> Result<Json<Message>, ApiError> {
    let claims = token::access_token(&app, request.access_token.expose(), context.now);
    let claims = claims.filter(|claims| claims.sub == claims.client_id.as_str());
    let named = claims.as_ref().map(|claims| &claims.client_id);
    count(&app, Counted::Machine(named), &context).await?;
    let Some(claims) = claims else {
        let event = AuditEvent::new("token_invalid").outcome("token_not_ours");
        app.audit(context.audit(None), event).await?;
        let sentence = "The access token is malformed or expired, or not a service's.";
        return Err(ApiError::unauthorized("token_not_ours", sentence)
            .with_challenge(challenge::Bearer::new()));
    };
    end_access_token(&app, &claims, &context).await?;
    Ok(Json(Message {
        message: "The token is revoked.",
    }))
}

/// `GET /protected`: for the scope `read`.
#[utoipa::path(get, path = "/protected", responses((status = 200, body = Message), (status = 429)), security(("bearer" = [])))]
pub(super) async fn protected(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Json<Message>, ApiError> {
    permitted(&app, &context, caller, "read").await?;
    Ok(Json(Message {
        message: "You may read.",
    }))
}

/// `GET /admin-only`: for the scope `admin` and the role `admin`. The role is the one that is registered now, not the
/// one the token was made with.
#[utoipa::path(get, path = "/admin-only", responses((status = 200, body = Message), (status = 429)), security(("bearer" = [])))]
pub(super) async fn admin_only(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Json<Message>, ApiError> {
    let service = permitted(&app, &context, caller, "admin").await?;
    let client = app.registry().client(app.store(), &service.client_id);
    let client = client.await?;
    let role = client
        .as_ref()
        .and_then(|client| client.client.role.as_deref());
    if role != Some("admin") {
        let sentence = "This is for clients with the role admin.";
        return Err(ApiError::forbidden("role_missing", sentence));
    }
    Ok(Json(Message {
        message: "You may administer.",
    }))
}

async fn permitted(
    app: &App,
    context: &RequestContext,
    caller: Caller,
    scope: &str,
) -> Result<ServiceCaller, ApiError> {
    let scoped = caller.require_any_scope(app, context, &[scope]).await;
    let service = caller.service()?;
    count(app, Counted::Machine(Some(&service.client_id)), context).await?;
    scoped.map(|()| service)
}

/// Records a refusal, and turns it into the answer of this service.
async fn recorded<T>(
    app: &App,
    client: &RegisteredClient,
    outcome: Result<T, OAuthError>,
    context: &RequestContext,
) -> Result<T, ApiError> {
    let error = match outcome {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let event = AuditEvent::new("token_refused")
        .client(&client.client.client_id)
        .outcome(error.refusal());
    app.audit(context.audit(Some(actor(client))), event).await?;
    Err(unauthorized(error))
}

/// FastAPI's shape of a 401 names the scheme.
fn unauthorized(error: OAuthError) -> ApiError {
    let error = ApiError::from(error);
    match error.status() {
        StatusCode::UNAUTHORIZED => error.with_challenge(challenge::Bearer::new()),
        _ => error,
    }
}

fn not_renewed(refusal: &'static str) -> ApiError {
    let sentence = "The refresh token is unknown, spent, expired or revoked.";
    ApiError::unauthorized(refusal, sentence).with_challenge(challenge::Bearer::new())
}

fn actor(client: &RegisteredClient) -> String {
    format!("client:{}", client.client.client_id)
}
