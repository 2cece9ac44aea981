//! `/api/admin/v1`: the registry as data (clients, resources, scopes, permissions, roles), the audit log and timelines,
//! for service clients with a scope of this server and for users with a permission of the same name.
//!
//! Who may only read can never write. Nobody gives what they do not hold. Secrets are made here, shown once in the
//! answer that made them, and never read back. Errors are problems (RFC 9457).

mod body;
mod declarations;
mod kind;
mod organizations;
mod records;
mod rights;
mod secrets;
mod users;
mod view;

use axum::routing::{delete, get, patch, post};

use crate::openapi::Routes;

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    declarations::list,
    declarations::create,
    declarations::show,
    declarations::replace,
    declarations::change,
    declarations::remove,
    records::audit,
    records::timeline,
    secrets::create,
    secrets::remove,
    users::list,
    users::give,
    users::take,
    organizations::change
))]
pub(crate) struct Api;

/// The paths.
pub fn routes() -> Routes {
    const BASE: &str = "/api/admin/v1";
    let path = |rest: &str| format!("{BASE}/{rest}");
    Routes::new()
        .route(&path("audit"), get(records::audit))
        .route(&path("timeline/{id}"), get(records::timeline))
        .route(
            &path("{kind}"),
            get(declarations::list).post(declarations::create),
        )
        .route(
            &path("{kind}/{key}"),
            get(declarations::show)
                .put(declarations::replace)
                .patch(declarations::change)
                .delete(declarations::remove),
        )
        .route(
            &path("users/{user_id}/roles"),
            get(users::list).post(users::give),
        )
        .route(
            &path("organizations/{org_id}"),
            patch(organizations::change),
        )
        .route(&path("users/{user_id}/roles/{role}"), delete(users::take))
        .route(&path("clients/{client_id}/secrets"), post(secrets::create))
        .route(
            &path("clients/{client_id}/secrets/{secret_id}"),
            delete(secrets::remove),
        )
}
