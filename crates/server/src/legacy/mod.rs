//! The paths of the older services: routing alone, onto the same functions as the standard endpoints.

use axum::Router;

use crate::app::App;

/// Older spellings of paths.
pub fn routes() -> Router<App> {
    Router::new()
}
