//! Secrets of clients: made here, shown once, at most two at a time so that one can be replaced without a pause.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokensmith_oauth2::Secret;
use tokensmith_store::{Client, ClientSecret, Declaration, DeclarationKind, Timestamp};

use super::{
    declarations::{find, write},
    kind::nothing,
    rights::Administrator,
};
use crate::{
    app::App,
    client_auth::{hash_secret, new_secret},
    error::{ApiError, ApiJson, no_store},
    extract::PathIds,
    registry,
};

/// How long the former secret stays valid at most: 30 days.
const LONGEST_KEPT: u32 = 30 * 24 * 3600;

/// The body of a new secret.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    /// For how many seconds the newest of the former secrets stays valid.
    #[serde(default = "a_day")]
    keep_old_seconds: u32,
}

fn a_day() -> u32 {
    24 * 3600
}

/// `POST /api/admin/v1/clients/{client_id}/secrets`: a new secret, shown once.
///
/// # Errors
/// 401, 403, 404, 409, 422.
#[utoipa::path(post, path = "/api/admin/v1/clients/{client_id}/secrets", request_body = NewSecret, responses((status = 201, body = crate::openapi::Made), (status = 409)), operation_id = "create_secret")]
pub(super) async fn create(
    State(app): State<App>,
    administrator: Administrator,
    crate::extract::PathId(client_id): crate::extract::PathId<String>,
    ApiJson(new): ApiJson<NewSecret>,
) -> Result<Response, ApiError> {
    administrator.may_write(DeclarationKind::Client)?;
    let (before, mut client) = client(&app, &client_id).await?;
    administrator.may_touch(&before)?;
    if !registry::needs_secret(client.auth_method) {
        let sentence = "This client does not authenticate by a secret.";
        return Err(ApiError::conflict("no_secret_method", sentence));
    }
    if new.keep_old_seconds > LONGEST_KEPT {
        let sentence = format!("keep_old_seconds must be a number from 0 to {LONGEST_KEPT}.");
        return Err(ApiError::unprocessable("keep_old_out_of_range", sentence));
    }
    let now = administrator.context.now;
    client.secrets = kept(&client.secrets, now, new.keep_old_seconds);
    let secret = add(&app, &mut client, now).await?;
    let made = client.secrets.last().cloned().ok_or_else(nothing)?;
    write(
        &app,
        &administrator,
        Some(before),
        Some(Declaration::Client(client)),
    )
    .await?;
    let body = json!({ "id": made.id, "client_secret": secret.expose(), "created_at": now });
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

/// `DELETE /api/admin/v1/clients/{client_id}/secrets/{id}`: that secret is refused from now on.
///
/// # Errors
/// 401, 403, 404, 409 for the last one.
#[utoipa::path(delete, path = "/api/admin/v1/clients/{client_id}/secrets/{secret_id}", responses((status = 204), (status = 409)), operation_id = "remove_secret")]
pub(super) async fn remove(
    State(app): State<App>,
    administrator: Administrator,
    PathIds(client_id, id): PathIds<String, String>,
) -> Result<StatusCode, ApiError> {
    administrator.may_write(DeclarationKind::Client)?;
    let (before, mut client) = client(&app, &client_id).await?;
    administrator.may_touch(&before)?;
    let there = client.secrets.len();
    client.secrets.retain(|secret| secret.id != id);
    if client.secrets.len() == there {
        return Err(nothing());
    }
    if client.secrets.is_empty() && registry::needs_secret(client.auth_method) {
        let sentence =
            "This is the client's last secret. Make another one first, or disable the client.";
        return Err(ApiError::conflict("last_secret", sentence));
    }
    client.updated_at = administrator.context.now;
    write(
        &app,
        &administrator,
        Some(before),
        Some(Declaration::Client(client)),
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn client(app: &App, id: &str) -> Result<(Declaration, Box<Client>), ApiError> {
    match find(app, DeclarationKind::Client, id).await? {
        Declaration::Client(client) => Ok((Declaration::Client(client.clone()), client)),
        _ => Err(nothing()),
    }
}

/// The newest secret that is still valid, until then; a client has two at most.
fn kept(secrets: &[ClientSecret], now: Timestamp, seconds: u32) -> Vec<ClientSecret> {
    let until = (now + Duration::from_secs(seconds.into())).as_millis();
    let is_valid = |secret: &&ClientSecret| secret.expires_at.is_none_or(|at| at > now.as_millis());
    let newest = secrets.iter().rfind(is_valid).filter(|_| seconds > 0);
    let limited = newest.cloned().map(|mut secret| {
        secret.expires_at = Some(secret.expires_at.unwrap_or(i64::MAX).min(until));
        secret
    });
    limited.into_iter().collect()
}

/// Gives a client a new secret.
///
/// # Errors
/// 503 when too much is being hashed.
pub(super) async fn add(
    app: &App,
    client: &mut Client,
    now: Timestamp,
) -> Result<Secret, ApiError> {
    let secret = new_secret(app.entropy());
    let hash = hash_secret(app.hashing(), app.entropy(), &secret).await;
    client.secrets.push(ClientSecret {
        id: app.entropy().identifier()[..8].to_owned(),
        hash: hash.map_err(ApiError::unavailable)?,
        created_at: now.as_millis(),
        expires_at: None,
    });
    client.updated_at = now;
    Ok(secret)
}
