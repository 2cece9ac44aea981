//! `/health`, `/ready` and `/metrics`: what is found out for them, and their answers.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    health::{Health, Part, Probes},
    observe::metrics::Metrics,
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(health, ready, metrics))]
pub(crate) struct Api;

/// A database that takes longer than this is of no use to a caller either.
const DATABASE_PATIENCE: Duration = Duration::from_secs(1);

/// `GET /health`: the process and what it stands on.
#[utoipa::path(get, path = "/health", responses((status = 200, body = crate::health::Health), (status = 503, body = crate::health::Health)))]
pub async fn health(State(app): State<App>) -> Response {
    judge(&app).await.into_response()
}

/// `GET /ready`: whether to send requests here.
#[utoipa::path(get, path = "/ready", responses((status = 200, body = crate::health::Ready), (status = 503, body = crate::health::Ready)))]
pub async fn ready(State(app): State<App>) -> Response {
    app.readiness().answer(&judge(&app).await)
}

/// `GET /metrics`: counts and times, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics() -> Response {
    Metrics::shared().answer()
}

async fn judge(app: &App) -> Health {
    let algorithm = app.config().tokens.signing_algorithm;
    let answered = tokio::time::timeout(DATABASE_PATIENCE, app.store().ping()).await;
    let database = match answered {
        Ok(Ok(())) => Part::Ok,
        _ => Part::Unavailable,
    };
    Health::of(&Probes {
        database,
        redis: match app.limits().shared_answers().await {
            None => Part::NotConfigured,
            Some(true) => Part::Ok,
            Some(false) => Part::Unavailable,
        },
        signing_key_age: app.keys().current().age(algorithm, app.clock().now()),
        uptime: app.uptime(),
        version: env!("CARGO_PKG_VERSION"),
    })
}
