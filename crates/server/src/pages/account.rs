//! `GET /account`: who somebody is here and what protects the account, and the frame of all pages of the account.

use askama::Template;
use axum::{
    extract::State,
    response::{Redirect, Response},
};
use http::StatusCode;
use tokensmith_store::{OrganizationRole, User};

use super::{
    frame::{Frame, page},
    messages::filled,
    next,
    viewer::{SignedInViewer, Viewer},
    when::When,
};
use crate::{app::App, error::PageError};

/// Of organizations and devices the overview shows so many.
const MOST: i64 = 100;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    user: User,
    member_since: When,
    password: String,
    devices: String,
    organizations: Vec<Membership>,
}

struct Membership {
    name: String,
    role: &'static str,
}

/// `GET /`: the account, or the sign-in that leads to it.
pub(super) async fn start(viewer: Viewer) -> Response {
    let target = match viewer.signed_in {
        Some(_) => next::page(None),
        None => "/sign-in",
    };
    viewer.answer(Redirect::to(target))
}

/// `GET /account`
pub(super) async fn show(
    State(app): State<App>,
    SignedInViewer { viewer, signed_in }: SignedInViewer,
) -> Result<Response, PageError> {
    let (user, now) = (signed_in.user, viewer.context.now);
    let frame = frame(&app, &viewer, &user, "overview");
    let t = frame.t;
    let (sessions, organizations) = tokio::try_join!(
        app.store().sessions_of(&user.id, now, MOST),
        app.store().organizations_of(&user.id, "", MOST)
    )?;
    let membership = |of_user: tokensmith_store::OrganizationOfUser| Membership {
        name: of_user.organization.name,
        role: match of_user.role {
            OrganizationRole::Owner => t.role_owner,
            OrganizationRole::Admin => t.role_admin,
            OrganizationRole::Member => t.role_member,
        },
    };
    let shown = AccountPage {
        member_since: When::date(user.created_at),
        password: match user.password_changed_at {
            Some(at) => filled(t.password_changed, &[&When::new(at, now, t).text]),
            None => t.password_set.to_owned(),
        },
        devices: match sessions.len() {
            1 => t.devices_one.to_owned(),
            count => filled(t.devices_many, &[&count.to_string()]),
        },
        organizations: organizations.into_iter().map(membership).collect(),
        user,
        frame,
    };
    page(&viewer, StatusCode::OK, &shown)
}

/// The frame of a page of the account.
pub(super) fn frame(app: &App, viewer: &Viewer, user: &User, here: &'static str) -> Frame {
    Frame {
        here,
        email: user.email.clone(),
        ..Frame::new(app, viewer)
    }
}
