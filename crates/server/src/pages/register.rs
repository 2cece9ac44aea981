//! `GET` and `POST /register`: the page of `POST /api/auth/register`, which tells as little.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    field::{Field, blame},
    form::{PageForm, field, secret_field},
    frame::{Frame, page},
    notice::NoticePage,
    sign_in::with_fields_of,
    viewer::Viewer,
};
use crate::{
    account::{self, RegisterRequest},
    app::App,
    error::{ApiError, PageError},
};

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage {
    frame: Frame,
    email: Field,
    username: Field,
    password: Field,
    problem: &'static str,
}

impl RegisterPage {
    fn new(app: &App, viewer: &Viewer) -> Self {
        let frame = Frame::new(app, viewer);
        let t = frame.t;
        Self {
            email: Field {
                has_focus: true,
                ..Field::email(t.email)
            },
            username: Field {
                autocomplete: "username",
                hint: t.username_hint,
                is_optional: true,
                ..Field::text("username", t.username)
            },
            password: Field {
                hint: t.password_hint,
                ..Field::password("password", t.password, "new-password")
            },
            problem: "",
            frame,
        }
    }
}

/// `GET /register`
pub(super) async fn show(State(app): State<App>, viewer: Viewer) -> Result<Response, PageError> {
    page(&viewer, StatusCode::OK, &RegisterPage::new(&app, &viewer))
}

/// `POST /register`
pub(super) async fn register(
    State(app): State<App>,
    PageForm { viewer, form }: PageForm,
) -> Result<Response, PageError> {
    let (email, username) = (field(&form, "email")?, field(&form, "username")?);
    let request = RegisterRequest {
        email: email.to_owned(),
        password: secret_field(&form, "password")?,
        username: (!username.is_empty()).then(|| username.to_owned()),
        org_name: None,
    };
    if let Err(error) = account::registered(&app, request, &viewer.context).await {
        return refused(&app, &viewer, (email, username), error);
    }
    let frame = Frame::new(&app, &viewer);
    let t = frame.t;
    let notice = NoticePage {
        title: t.registered,
        text: t.registered_text,
        action: t.sign_in,
        address: "/sign-in",
        frame,
    };
    page(&viewer, StatusCode::CREATED, &notice)
}

fn refused(
    app: &App,
    viewer: &Viewer,
    (email, username): (&str, &str),
    error: ApiError,
) -> Result<Response, PageError> {
    let mut shown = RegisterPage::new(app, viewer);
    let word = error.refusal();
    let text = shown.frame.t.refusal(word);
    shown.email.value = email.to_owned();
    shown.username.value = username.to_owned();
    shown.email.has_focus = false;
    let RegisterPage {
        email,
        username,
        password,
        ..
    } = &mut shown;
    if blame(&mut [email, username, password], word, text).is_none() {
        shown.problem = text;
    }
    with_fields_of(error, page(viewer, StatusCode::OK, &shown)?)
}
