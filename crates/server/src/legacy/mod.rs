//! The paths of the older services: routing alone, onto the same functions as the standard endpoints.

mod account;
mod machine;

use axum::{
    middleware::from_fn_with_state,
    routing::{get, post},
};

use crate::{app::App, login, openapi::Routes, rate_limit::fields};

pub(crate) use account::Api as AccountApi;

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    machine::token,
    machine::refresh,
    machine::revoke,
    machine::protected,
    machine::admin_only
))]
pub(crate) struct Api;

/// Older spellings of paths.
pub fn routes(app: App) -> Routes {
    let machine = Routes::new()
        .route("/token", post(machine::token))
        .route("/refresh", post(machine::refresh))
        .route("/revoke", post(machine::revoke))
        .route("/protected", get(machine::protected))
        .route("/admin-only", get(machine::admin_only))
        .route_layer(from_fn_with_state(app, fields));
    Routes::new()
        .route("/auth/login", post(login::login))
        .merge(account::routes())
        .merge(machine)
}
