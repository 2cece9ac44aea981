//! The paths of the older services: routing alone, onto the same functions as the standard endpoints.

mod account;
mod machine;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use crate::{app::App, login, rate_limit::fields};

/// Older spellings of paths.
pub fn routes(app: App) -> Router<App> {
    let machine = Router::new()
        .route("/token", post(machine::token))
        .route("/refresh", post(machine::refresh))
        .route("/revoke", post(machine::revoke))
        .route("/protected", get(machine::protected))
        .route("/admin-only", get(machine::admin_only))
        .route_layer(from_fn_with_state(app, fields));
    Router::new()
        .route("/auth/login", post(login::login))
        .merge(account::routes())
        .merge(machine)
}
