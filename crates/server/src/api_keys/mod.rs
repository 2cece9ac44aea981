//! API keys of people: `/api/auth/api-keys`. A key is shown once, in the answer that made it. To make or renew one, the
//! user must have proved who they are within the last ten minutes (RFC 9470 §3).

mod shown;
pub mod text;

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::{ErrorCode, ResourceIndicator, Scope, Secret, challenge};
use tokensmith_store::{
    ApiKey, ApiKeyCreation, ApiKeyOwner, CreateApiKey, OrganizationId, RevokeApiKey, Timestamp,
};

pub use shown::{ShownKey, shown};

use crate::{
    app::App,
    caller::{Caller, UserCaller},
    context::RequestContext,
    error::{ApiError, ApiJson, no_store},
    extract::{Page, PathText, check_name, next_after},
    registry::{Authority, InOrganization},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, rotate, revoke))]
pub(crate) struct Api;

/// How long ago the user may have proved who they are.
const RECENT: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
const USUAL_DAYS: u32 = 90;
const LONGEST_DAYS: u32 = 366;
/// What a validating service may remember of a key, with room for clocks that differ.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How long a replaced key may go on.
const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 86_400);
const USUAL_OVERLAP_SECONDS: u64 = 86_400;

/// A key as its owner sees it: everything but the secret.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ApiKey)]
struct KeyView {
    id: String,
    name: String,
    #[schema(value_type = String)]
    scope: Scope,
    resource: String,
    org_id: Option<OrganizationId>,
    created_at: Timestamp,
    expires_at: Timestamp,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scope: key.scope,
            resource: key.resource,
            org_id: key.org_id,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// One page of keys.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ApiKeyList)]
struct KeyList {
    api_keys: Vec<KeyView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

/// A new key, with its text.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NewApiKey)]
struct MadeKey {
    #[serde(flatten)]
    view: KeyView,
    /// Shown this once.
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    key: Secret,
}

/// The body of a new key.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyRequest)]
pub struct NewKey {
    name: String,
    scope: String,
    #[serde(default = "usual_days")]
    expires_in_days: u32,
    resource: Option<String>,
}

fn usual_days() -> u32 {
    USUAL_DAYS
}

/// The body of a renewal.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyRotation)]
pub struct Rotation {
    #[serde(default = "usual_overlap")]
    overlap_seconds: u64,
}

fn usual_overlap() -> u64 {
    USUAL_OVERLAP_SECONDS
}

/// `GET /api/auth/api-keys`: the API keys of the caller.
///
/// # Errors
/// 401, 403 for a service, 422.
#[utoipa::path(get, path = "/api/auth/api-keys", params(("limit" = Option<u32>, Query), ("after" = Option<String>, Query)), responses((status = 200, body = KeyList)), operation_id = "list_api_keys")]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    page: Page,
) -> Result<Response, ApiError> {
    let owner = ApiKeyOwner::User(caller.user()?.user_id);
    let found = app
        .store()
        .api_keys_of(&owner, &page.after, page.limit)
        .await?;
    let next = next_after(&found, page.limit, |key| key.id.clone());
    let api_keys = found.into_iter().map(KeyView::from).collect();
    let mut response = Json(KeyList { api_keys, next }).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

/// `POST /api/auth/api-keys`: makes an API key. It acts in the organization of the caller's token.
///
/// # Errors
/// 401 also when the user must prove anew who they are, 403 for a scope the user may not give, 409, 422.
#[utoipa::path(post, path = "/api/auth/api-keys", request_body = NewKey, responses((status = 201, body = MadeKey), (status = 409)), operation_id = "create_api_key")]
pub async fn create(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(new): ApiJson<NewKey>,
) -> Result<Response, ApiError> {
    let user = caller.user()?;
    let authority = recent(&app, &user, &context).await?;
    check_name(&new.name)?;
    if !(1..=LONGEST_DAYS).contains(&new.expires_in_days) {
        let sentence = "expires_in_days is a number from 1 to 366.";
        return Err(ApiError::unprocessable("lifetime_malformed", sentence));
    }
    let scope = scope(&app, &authority, &new.scope).await?;
    let resource = resource(&app, new.resource)?;
    let org_id = user.org_id.as_deref().and_then(|org| org.parse().ok());
    let (id, digest, text) = text::make(app.entropy());
    let key = ApiKey {
        id,
        digest,
        owner: ApiKeyOwner::User(user.user_id.clone()),
        org_id,
        name: new.name,
        scope,
        resource,
        created_at: context.now,
        expires_at: context.now + DAY * new.expires_in_days,
        last_used_at: None,
        revoked_at: None,
    };
    put(&app, &user, key, None, &context)
        .await
        .map(|key| made(key, &text))
}

/// `POST /api/auth/api-keys/{id}/rotate`: renews an API key. The new one has the same rights and a life as long; the old
/// one goes on for `overlap_seconds`, a day when left out.
///
/// # Errors
/// As [`create`]; 404 for a key that is not the caller's, or is over.
#[utoipa::path(post, path = "/api/auth/api-keys/{id}/rotate", request_body = Rotation, responses((status = 201, body = MadeKey), (status = 409)), operation_id = "rotate_api_key")]
pub async fn rotate(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathText(id): PathText<0>,
    ApiJson(rotation): ApiJson<Rotation>,
) -> Result<Response, ApiError> {
    let user = caller.user()?;
    recent(&app, &user, &context).await?;
    let overlap = Duration::from_secs(rotation.overlap_seconds);
    if overlap > LONGEST_OVERLAP {
        let sentence = "overlap_seconds is a number from 0 to 604800.";
        return Err(ApiError::unprocessable("overlap_malformed", sentence));
    }
    let owner = ApiKeyOwner::User(user.user_id.clone());
    let old = app.store().api_key(&id).await?;
    let old = old.filter(|key| key.owner == owner && key.is_live(context.now));
    let old = old.ok_or_else(no_such_key)?;
    let (new_id, digest, text) = text::make(app.entropy());
    let life = old.expires_at.since(old.created_at).min(DAY * LONGEST_DAYS);
    let key = ApiKey {
        id: new_id,
        digest,
        created_at: context.now,
        expires_at: context.now + life,
        last_used_at: None,
        ..old
    };
    let replaces = Some((id, context.now + overlap));
    put(&app, &user, key, replaces, &context)
        .await
        .map(|key| made(key, &text))
}

/// `DELETE /api/auth/api-keys/{id}`: revokes an API key.
///
/// # Errors
/// 401, 403 for a service, 404 for a key that is not the caller's.
#[utoipa::path(delete, path = "/api/auth/api-keys/{id}", responses((status = 204)), operation_id = "revoke_api_key")]
pub async fn revoke(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathText(id): PathText<0>,
) -> Result<StatusCode, ApiError> {
    let user = caller.user()?;
    let revoke = RevokeApiKey {
        id,
        context: context.audit(Some(user.actor())),
        owner: ApiKeyOwner::User(user.user_id),
        revoked_until: context.now + REMEMBERED,
    };
    if app.store().write(revoke).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(no_such_key())
}

async fn put(
    app: &App,
    user: &UserCaller,
    key: ApiKey,
    replaces: Option<(String, Timestamp)>,
    context: &RequestContext,
) -> Result<ApiKey, ApiError> {
    let create = CreateApiKey {
        key: key.clone(),
        replaces,
        context: context.audit(Some(user.actor())),
    };
    match app.store().write(create).await? {
        ApiKeyCreation::Created => Ok(key),
        ApiKeyCreation::TooMany => {
            let sentence = "You have 50 keys. Revoke one first.";
            Err(ApiError::conflict("too_many_keys", sentence))
        }
        ApiKeyCreation::NotLive | ApiKeyCreation::NoSuchOwner => Err(no_such_key()),
    }
}

/// The one answer that holds the key.
fn made(key: ApiKey, text: &Secret) -> Response {
    let made = MadeKey {
        view: KeyView::from(key),
        key: text.clone(),
    };
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    no_store(response.headers_mut());
    response
}

/// What the user may do, if they proved who they are a short time ago.
async fn recent(
    app: &App,
    user: &UserCaller,
    context: &RequestContext,
) -> Result<Authority, ApiError> {
    let org = user.org_id.as_deref().map(str::parse::<OrganizationId>);
    let (Some(session), Ok(org)) = (&user.session_id, org.transpose()) else {
        return Err(prove_again());
    };
    let store = app.store();
    let standing = store.standing(&user.user_id, session, org.as_ref(), context.now);
    let standing = standing.await?.ok_or_else(prove_again)?;
    if standing.authentication.at + RECENT < context.now {
        return Err(prove_again());
    }
    let in_org = standing.role.map(|role| InOrganization {
        role,
        roles: &standing.org_roles,
    });
    if org.is_some() && in_org.is_none() {
        return Err(prove_again());
    }
    Ok(app.registry().declared().authority(&standing.roles, in_org))
}

fn prove_again() -> ApiError {
    let sentence = "Sign in again: making a key needs a sign-in of the last ten minutes.";
    let challenge = challenge::Bearer::new()
        .error(ErrorCode::InsufficientUserAuthentication)
        .description(sentence);
    ApiError::unauthorized("authentication_too_old", sentence).with_challenge(challenge)
}

async fn scope(app: &App, authority: &Authority, text: &str) -> Result<Scope, ApiError> {
    let malformed = |error| ApiError::unprocessable("scope_malformed", format!("scope: {error}."));
    let wanted = Scope::parse(text).map_err(malformed)?;
    if wanted.is_empty() {
        let sentence = "Name what the key permits in scope.";
        return Err(ApiError::unprocessable("scope_missing", sentence));
    }
    let account = shown::account_scope(app).await?;
    if shown::within(app, authority, &account, &wanted) != wanted {
        let sentence = "The scope names something that you do not hold yourself.";
        return Err(ApiError::forbidden("beyond_own_rights", sentence));
    }
    Ok(wanted)
}

/// A declared resource; the server's own audience when none is named.
fn resource(app: &App, wanted: Option<String>) -> Result<String, ApiError> {
    let default = app.config().audience();
    let wanted = wanted.unwrap_or_else(|| default.to_owned());
    let is_known = wanted == default
        || (ResourceIndicator::parse(&wanted).is_ok()
            && app.registry().declared().resource(&wanted).is_some());
    if is_known {
        return Ok(wanted);
    }
    let sentence = "No resource of this name is declared.";
    Err(ApiError::unprocessable("no_such_resource", sentence))
}

fn no_such_key() -> ApiError {
    ApiError::not_found("You have no such key.")
}
