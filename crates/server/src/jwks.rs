//! The public keys (RFC 7517 §5): those that sign, those that will, and those whose tokens have not all expired.

use axum::{extract::State, response::IntoResponse};
use http::{HeaderValue, header};

use crate::app::App;

/// Shorter than the notice at which a new key begins to sign, so that nobody meets a key it has not seen.
const CACHE: HeaderValue =
    HeaderValue::from_static("public, max-age=300, stale-while-revalidate=600");
const TYPE: HeaderValue = HeaderValue::from_static("application/jwk-set+json");

/// `GET /.well-known/jwks.json`
pub async fn jwks(State(app): State<App>) -> impl IntoResponse {
    let keys = app.keys().current().jwks.clone();
    (
        [(header::CACHE_CONTROL, CACHE), (header::CONTENT_TYPE, TYPE)],
        keys,
    )
}
