//! Every path, one line each.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;

use crate::{
    app::App, error::ApiError, jwks, legacy, metadata, observe::metrics::Metrics, token,
};

/// All routes of the server.
pub fn router(app: App) -> Router {
    Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::metadata),
        )
        .route("/.well-known/openid-configuration", get(metadata::metadata))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/oauth/token", post(token::token))
        .route("/metrics", get(metrics))
        .merge(legacy::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Metrics::shared().endpoint_layer())
        .with_state(app)
}

/// `GET /metrics`
async fn metrics() -> Response {
    Metrics::shared().answer()
}

async fn not_found() -> Response {
    ApiError::not_found("There is nothing at this path.").into_response()
}

async fn method_not_allowed() -> Response {
    let sentence = "This path does not take that method; see the Allow header.";
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        sentence,
    )
    .into_response()
}
