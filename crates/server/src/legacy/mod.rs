//! The paths of the older services: routing alone, onto the same functions as the standard endpoints.

mod machine;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{app::App, login};

/// Older spellings of paths.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/auth/login", post(login::login))
        .route("/token", post(machine::token))
        .route("/refresh", post(machine::refresh))
        .route("/revoke", post(machine::revoke))
        .route("/protected", get(machine::protected))
        .route("/admin-only", get(machine::admin_only))
}
