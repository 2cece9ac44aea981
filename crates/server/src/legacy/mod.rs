//! The paths of the older services: routing alone, onto the same functions as the standard endpoints.

use axum::{Router, routing::post};

use crate::{app::App, login};

/// Older spellings of paths.
pub fn routes() -> Router<App> {
    Router::new().route("/auth/login", post(login::login))
}
