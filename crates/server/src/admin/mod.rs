//! `/api/admin/v1`: the registry as data (clients, resources, scopes, permissions, roles), the audit log and timelines,
//! for service clients with a scope of this server and for users with a permission of the same name.
//!
//! Who may only read can never write. Nobody gives what they do not hold. Secrets are made here, shown once in the
//! answer that made them, and never read back. Errors are problems (RFC 9457).

mod activity;
mod analysis;
mod body;
mod declarations;
mod kind;
mod operation;
mod organizations;
mod records;
mod rights;
mod secrets;
mod statistics;
mod users;
mod view;

use axum::routing::{delete, get, patch, post};

pub use statistics::Kept as KeptStatistics;

use crate::{openapi::Routes, status};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    declarations::list,
    declarations::create,
    declarations::show,
    declarations::replace,
    declarations::change,
    declarations::remove,
    activity::audit_logs,
    analysis::analysis,
    operation::config,
    operation::providers,
    operation::cleanup_tokens,
    statistics::stats,
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
    const OLDER: &str = "/api/oauth2";
    let older = |rest: &str| format!("{OLDER}/{rest}");
    let path = |rest: &str| format!("{BASE}/{rest}");
    Routes::new()
        .route(&older("stats"), get(statistics::stats))
        .route(&older("config"), get(operation::config))
        .route(&older("providers"), get(operation::providers))
        .route(&older("cleanup-tokens"), post(operation::cleanup_tokens))
        .route(&older("audit-logs"), get(activity::audit_logs))
        .route(&older("security-analysis"), get(analysis::analysis))
        .route(&older("health"), get(status::health))
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
