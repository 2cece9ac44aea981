//! Every path, one line each.

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
use http::StatusCode;

use crate::{
    access, account, admin, api_keys, app::App, authorization_audit, error::ApiError, groups,
    introspect, jwks, legacy, login, mail, metadata, mfa, openapi, openapi::Routes, orgs, pages,
    rate_limit, revocations, revoke, roles, session, status, token,
};

/// All routes of the server.
pub fn router(app: App) -> Router {
    let routes = routes(app.clone())
        .into_router()
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    counted(routes, &app).with_state(app)
}

/// Every route. What stands here stands in the document of the API; a test compares the two.
pub fn routes(app: App) -> Routes {
    Routes::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::metadata),
        )
        .route("/.well-known/openid-configuration", get(metadata::metadata))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/oauth/token", post(token::token))
        .route("/oauth/introspect", post(introspect::introspect))
        .route("/oauth/revoke", post(revoke::revoke))
        .route("/.well-known/authzen-configuration", get(access::metadata))
        .route("/access/v1/evaluation", post(access::evaluation))
        .route("/access/v1/evaluations", post(access::evaluations))
        .route("/oauth/revocations", get(revocations::revocations))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
        .route("/docs/page.js", get(openapi::script))
        .route("/docs/page.css", get(openapi::style))
        .merge(accounts(app.clone()))
        .pages(mail::routes(&app))
        .pages(pages::routes(&app))
}

/// Where no request is counted, no request pays for it.
fn counted(routes: Router<App>, app: &App) -> Router<App> {
    if app.limits().count_requests() {
        routes.layer(from_fn_with_state(app.clone(), rate_limit::fields))
    } else {
        routes
    }
}

/// Sign-in, organizations and groups. What they refuse to a caller is recorded.
fn accounts(app: App) -> Routes {
    const ORGS: &str = "/api/auth/organizations";
    const GROUP: &str = "/api/auth/groups/{group_id}";
    let org = |rest: &str| format!("{ORGS}/{{org_id}}{rest}");
    let group = |rest: &str| format!("{GROUP}{rest}");
    Routes::new()
        .route("/api/auth/login", post(login::login))
        .route("/api/auth/register", post(account::register))
        .merge(own_account())
        .route("/api/auth/refresh", post(session::refresh))
        .route("/api/auth/logout", post(session::logout))
        .route(
            "/api/auth/sessions",
            get(session::list).delete(session::end_others),
        )
        .route("/api/auth/sessions/{session_id}", delete(session::end_one))
        .route(
            "/api/auth/api-keys",
            get(api_keys::list).post(api_keys::create),
        )
        .route("/api/auth/api-keys/{id}", delete(api_keys::revoke))
        .route("/api/auth/api-keys/{id}/rotate", post(api_keys::rotate))
        .route(ORGS, get(orgs::list).post(orgs::create))
        .route(&org(""), get(orgs::show))
        .route(&org("/members"), get(orgs::list_members).post(orgs::add))
        .route(
            &org("/members/{user_id}"),
            patch(orgs::change).delete(orgs::remove),
        )
        .route(&org("/switch"), post(orgs::switch))
        .route(
            &org("/invitations"),
            get(orgs::list_invitations).post(orgs::invite),
        )
        .route(
            &org("/invitations/{invitation_id}"),
            delete(orgs::revoke_invitation),
        )
        .route(
            "/api/auth/invitations/accept",
            post(orgs::accept_invitation),
        )
        .route(
            &org("/members/{user_id}/roles"),
            get(orgs::list_roles).post(orgs::give_role),
        )
        .route(
            &org("/members/{user_id}/roles/{role}"),
            delete(orgs::take_role),
        )
        .route("/api/oauth2/me", get(roles::me))
        .route(&org("/groups"), get(groups::list).post(groups::create))
        .route(
            &group(""),
            get(groups::show)
                .patch(groups::change)
                .delete(groups::remove),
        )
        .route(
            &group("/members"),
            get(groups::list_members).post(groups::add_member),
        )
        .route(&group("/members/{user_id}"), delete(groups::remove_member))
        .merge(second_factors())
        .merge(admin::routes())
        .merge(legacy::routes(app.clone()))
        .route_layer(from_fn_with_state(app, authorization_audit::record))
}

/// Second factors, of a sign-in and of an account.
fn second_factors() -> Routes {
    let login = |rest: &str| format!("/api/auth/login/2fa{rest}");
    let factor = |rest: &str| format!("/api/auth/2fa{rest}");
    let passkey = |rest: &str| format!("/api/auth/passkeys{rest}");
    Routes::new()
        .route(&login(""), post(login::second_factor))
        .route(&login("/options"), post(mfa::answer_options))
        .route(&login("/setup"), post(mfa::enrol))
        .route("/api/auth/reauthenticate", post(login::reauthenticate))
        .route(&factor(""), get(mfa::status))
        .route(&factor("/setup"), post(mfa::setup))
        .route(&factor("/verify"), post(mfa::verify))
        .route(&factor("/disable"), post(mfa::disable))
        .route(
            &factor("/recovery-codes"),
            get(mfa::remaining).post(mfa::regenerate),
        )
        .route(&passkey(""), get(mfa::list).post(mfa::add))
        .route(&passkey("/options"), post(mfa::add_options))
        .route(&passkey("/sign-in"), post(login::by_passkey))
        .route(&passkey("/sign-in/options"), post(mfa::sign_in_options))
        .route(
            &passkey("/{passkey_id}"),
            patch(mfa::rename).delete(mfa::remove),
        )
}

/// What people do with their own account.
fn own_account() -> Routes {
    Routes::new()
        .route("/api/auth/verify-code", post(account::verify_code))
        .route("/api/auth/resend-code", post(account::resend_code))
        .route(
            "/api/auth/request-password-reset",
            post(account::request_password_reset),
        )
        .route("/api/auth/reset-password", post(account::reset_password))
        .route("/api/auth/account/email", post(account::change_email))
        .route("/api/auth/account/deactivate", post(account::deactivate))
        .route("/api/auth/account/delete", post(account::delete))
        .route("/api/auth/account/export", get(account::export))
        .route(
            "/api/oauth2/change-password",
            post(account::change_password),
        )
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
