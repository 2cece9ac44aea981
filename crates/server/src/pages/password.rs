//! `GET` and `POST /account/password`: the page of `POST /api/oauth2/change-password`. The cookie changes with it.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{StatusCode, header};
use tokensmith_store::SetBrowserCookie;

use super::{
    account::frame,
    cookie::BrowserSecret,
    field::Field,
    form::{SignedInForm, secret_field},
    frame::{Frame, page},
    sign_in::with_fields_of,
    viewer::{SignedIn, SignedInViewer, Viewer},
};
use crate::{
    account::{self, PasswordChange},
    app::App,
    error::{ApiError, PageError},
};

const DONE: &str = "/account/password?done=yes";

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    frame: Frame,
    current: Field,
    new: Field,
    problem: &'static str,
    notice: &'static str,
}

impl PasswordPage {
    fn new(app: &App, viewer: &Viewer, signed_in: &SignedIn) -> Self {
        let frame = frame(app, viewer, &signed_in.user, "password");
        let t = frame.t;
        Self {
            current: Field::password("current_password", t.password_current, "current-password"),
            new: Field {
                hint: t.password_hint,
                ..Field::password("new_password", t.password_new, "new-password")
            },
            problem: "",
            notice: "",
            frame,
        }
    }
}

/// `GET /account/password`
pub(super) async fn show(
    State(app): State<App>,
    SignedInViewer { viewer, signed_in }: SignedInViewer,
    uri: http::Uri,
) -> Result<Response, PageError> {
    let mut shown = PasswordPage::new(&app, &viewer, &signed_in);
    if uri.query() == Some("done=yes") {
        shown.notice = shown.frame.t.password_done;
    }
    page(&viewer, StatusCode::OK, &shown)
}

/// `POST /account/password`
pub(super) async fn change(
    State(app): State<App>,
    SignedInForm { page, form }: SignedInForm,
) -> Result<Response, PageError> {
    let SignedInViewer { viewer, signed_in } = page;
    let request = PasswordChange {
        current_password: secret_field(&form, "current_password")?,
        new_password: secret_field(&form, "new_password")?,
    };
    let (user, session) = (&signed_in.user, &signed_in.session.id);
    let changed = account::changed(&app, user, Some(session), &request, &viewer.context).await;
    if let Err(error) = changed {
        return refused(&app, &viewer, &signed_in, error);
    }
    let secret = another_cookie(&app, &viewer, &signed_in).await?;
    let mut response = Redirect::to(DONE).into_response();
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, secret.set(None));
    Ok(response)
}

/// Whoever took the old cookie before loses it with the old password.
async fn another_cookie(
    app: &App,
    viewer: &Viewer,
    signed_in: &SignedIn,
) -> Result<BrowserSecret, PageError> {
    let secret = BrowserSecret::new(app.entropy());
    let set = SetBrowserCookie {
        session_id: signed_in.session.id.clone(),
        previous: Some(viewer.secret.digest()),
        cookie: secret.digest(),
        context: viewer
            .context
            .audit(Some(format!("user:{}", signed_in.user.id))),
    };
    if app.store().write(set).await? {
        Ok(secret)
    } else {
        let sentence = "The session ended in the meantime.";
        Err(ApiError::unauthorized("session_over", sentence).into())
    }
}

fn refused(
    app: &App,
    viewer: &Viewer,
    signed_in: &SignedIn,
    error: ApiError,
) -> Result<Response, PageError> {
    let mut shown = PasswordPage::new(app, viewer, signed_in);
    let word = error.refusal();
    let text = shown.frame.t.refusal(word);
    match word {
        "password_wrong" => shown.current.problem = text,
        word if word.starts_with("password_") => shown.new.problem = text,
        _ => shown.problem = text,
    }
    shown.current.has_focus = !shown.current.problem.is_empty();
    shown.new.has_focus = !shown.new.problem.is_empty();
    with_fields_of(error, page(viewer, StatusCode::OK, &shown)?)
}
