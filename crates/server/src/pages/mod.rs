//! The pages people see: sign-in, registration and the account. Plain forms, nothing from another site,
//! and one script, without which passkeys cannot be asked.
//! What a page does is what the JSON API does: both call the same functions.

mod account;
mod activity;
mod assets;
mod brand;
mod colour;
mod cookie;
mod devices;
mod enrol;
mod factors;
mod field;
mod form;
mod frame;
mod language;
mod messages;
mod next;
mod notice;
mod passkey;
mod password;
mod recover;
mod register;
mod second_factor;
mod sign_in;
mod viewer;
mod when;

use axum::{Router, middleware::from_fn_with_state, routing::get, routing::post};

pub use self::form::FormKey;
use crate::{app::App, authorization_audit};

/// Their paths.
pub(crate) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/", get(account::start))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route(
            "/sign-in/code",
            get(second_factor::show).post(second_factor::end),
        )
        .route("/sign-in/enrol", get(enrol::show).post(enrol::enrol))
        .route(
            "/sign-in/passkey",
            get(passkey::show).post(passkey::sign_in),
        )
        .route("/sign-out", post(sign_in::sign_out))
        .route("/register", get(register::show).post(register::register))
        .route("/forgot", get(recover::show_forgot).post(recover::forgot))
        .route("/reset", get(recover::show_reset).post(recover::reset))
        .route("/verify", get(recover::show_verify).post(recover::verify))
        .route(
            "/account/password",
            get(password::show).post(password::change),
        )
        .route("/account", get(account::show))
        .route("/account/factors", get(factors::show).post(factors::change))
        .route("/account/devices", get(devices::show).post(devices::end))
        .route("/account/activity", get(activity::show))
        .route("/assets/{name}", get(assets::asset))
        .route("/logos/{org_id}", get(brand::logo))
        .route_layer(from_fn_with_state(app.clone(), frame::framed))
        .route_layer(from_fn_with_state(app.clone(), authorization_audit::record))
}
