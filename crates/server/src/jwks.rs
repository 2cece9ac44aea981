//! The public keys (RFC 7517 §5): those that sign, those that will, and those whose tokens have not all expired.

use axum::{extract::State, response::IntoResponse};
use http::{HeaderValue, header};

use crate::app::App;

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(jwks))]
pub(crate) struct Api;

/// Shorter than the notice at which a new key begins to sign, so that nobody meets a key it has not seen.
const CACHE: HeaderValue =
    HeaderValue::from_static("public, max-age=300, stale-while-revalidate=600");
const TYPE: HeaderValue = HeaderValue::from_static("application/jwk-set+json");

/// `GET /.well-known/jwks.json`: the public keys.
#[utoipa::path(get, path = "/.well-known/jwks.json", responses((status = 200, content_type = "application/jwk-set+json", body = serde_json::Value)))]
pub async fn jwks(State(app): State<App>) -> impl IntoResponse {
    let keys = app.keys().current().jwks.clone();
    (
        [(header::CACHE_CONTROL, CACHE), (header::CONTENT_TYPE, TYPE)],
        keys,
    )
}
