//! What operators of older services look at: the settings in use without any secret, providers of sign-in, and the
//! removal of what is over.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use tokensmith_store::{AuditEvent, Expired};
use utoipa::ToSchema;

use super::rights::Administrator;
use crate::{
    app::App,
    config::Database,
    error::ApiError,
    jobs::{BATCH, is_over_before, sweep_batch},
};

/// Batches that one request removes of each kind.
const MOST_BATCHES: u64 = 20;

/// Settings in use. Each is named here, so that no secret is among them by accident.
#[derive(Serialize, ToSchema)]
pub(super) struct Settings {
    issuer: String,
    audience: String,
    database: &'static str,
    redis: bool,
    access_token_lifetime_seconds: u64,
    refresh_token_lifetime_seconds: u64,
    refresh_token_idle_lifetime_seconds: u64,
    token_rotation_enabled: bool,
    signing_algorithm: &'static str,
    audit_logging_enabled: bool,
    requests_per_minute: u32,
    providers: Vec<Provider>,
}

/// A provider of sign-in outside this server.
#[derive(Serialize, ToSchema)]
pub(super) struct Provider {
    name: String,
}

/// `GET /api/oauth2/config`: the settings in use, without secrets.
///
/// # Errors
/// 401, 403.
#[utoipa::path(get, path = "/api/oauth2/config", responses((status = 200, body = Settings)))]
pub(super) async fn config(State(app): State<App>, _: Administrator) -> Json<Settings> {
    let config = app.config();
    let tokens = &config.tokens;
    Json(Settings {
        issuer: config.issuer.as_str().to_owned(),
        audience: config.audience().to_owned(),
        database: match config.database {
            Database::Sqlite(_) => "sqlite",
            Database::Postgres(_) => "postgresql",
        },
        redis: config.redis_url.is_some(),
        access_token_lifetime_seconds: tokens.access_token_lifetime.as_secs(),
        refresh_token_lifetime_seconds: tokens.refresh_token_lifetime.as_secs(),
        refresh_token_idle_lifetime_seconds: tokens.refresh_token_idle_lifetime.as_secs(),
        token_rotation_enabled: tokens.refresh_token_rotation,
        signing_algorithm: tokens.signing_algorithm.as_str(),
        audit_logging_enabled: config.audit.enabled,
        requests_per_minute: config.rate_limit.requests_per_minute.get(),
        providers: Vec::new(),
    })
}

/// `GET /api/oauth2/providers`: providers of sign-in that are configured. This version has none.
#[utoipa::path(get, path = "/api/oauth2/providers", responses((status = 200, body = [Provider])), security(()))]
pub(super) async fn providers() -> Json<Vec<Provider>> {
    Json(Vec::new())
}

/// What was removed.
#[derive(Serialize, ToSchema)]
pub(super) struct Cleaned {
    message: &'static str,
    /// Rows by kind.
    removed: BTreeMap<&'static str, u64>,
    /// Whether there was more than one request removes.
    more: bool,
}

/// `POST /api/oauth2/cleanup-tokens`: removes what is over. The server does the same by itself every minute.
///
/// # Errors
/// 401, 403, 503.
#[utoipa::path(post, path = "/api/oauth2/cleanup-tokens", responses((status = 200, body = Cleaned)))]
pub(super) async fn cleanup_tokens(
    State(app): State<App>,
    administrator: Administrator,
) -> Result<Json<Cleaned>, ApiError> {
    administrator.may_operate()?;
    let now = administrator.context.now;
    let (mut removed, mut more) = (BTreeMap::new(), false);
    for expired in Expired::ALL {
        let mut rows = 0;
        for batch in 1..=MOST_BATCHES {
            let of_batch = sweep_batch(&app, expired, now).await?;
            rows += of_batch;
            if of_batch < BATCH.unsigned_abs() {
                break;
            }
            more |= batch == MOST_BATCHES;
        }
        removed.insert(is_over_before(expired, now).1, rows);
    }
    let event = AuditEvent::new("cleanup").field("rows", removed.values().sum::<u64>());
    let context = administrator.context.audit(Some(administrator.actor));
    app.audit(context, event).await?;
    Ok(Json(Cleaned {
        message: "What was over is removed.",
        removed,
        more,
    }))
}
