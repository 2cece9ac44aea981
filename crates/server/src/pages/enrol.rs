//! `GET` and `POST /sign-in/enrol`: who must have a second factor sets up an authenticator app before the sign-in ends.
//! The page shows the secret that this very form asked for, so nobody confirms an app that another browser began.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use tokensmith_oauth2::Form;
use tokensmith_store::PendingPurpose;

use super::{
    field::Field,
    form::PageForm,
    frame::{Frame, page},
    second_factor::{blame_code, carry, code_field, ended, finished, waiting},
    sign_in::with_fields_of,
    viewer::Viewer,
};
use crate::{
    app::App,
    error::{ApiError, PageError},
    mfa,
};

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    frame: Frame,
    setup: Option<Shown>,
    code: Field,
    next: &'static str,
    keeps: bool,
    problem: &'static str,
}

/// What an authenticator app reads, as a page shows it.
pub(super) struct Shown {
    pub(super) secret: String,
    /// The secret in groups of four, as people read it.
    pub(super) spelled: String,
    pub(super) picture: String,
}

impl From<mfa::Setup> for Shown {
    fn from(setup: mfa::Setup) -> Self {
        let letters = setup.secret.as_bytes().chunks(4);
        let groups: Vec<_> = letters.map(String::from_utf8_lossy).collect();
        Self {
            spelled: groups.join(" "),
            // The secret beside it says the same to who cannot see the picture.
            picture: setup
                .qr_svg
                .replacen("role=\"img\"", "aria-hidden=\"true\"", 1),
            secret: setup.secret,
        }
    }
}

impl EnrolPage {
    fn new(app: &App, viewer: &Viewer, setup: Option<mfa::Setup>) -> Self {
        let frame = Frame::new(app, viewer);
        let t = frame.t;
        Self {
            setup: setup.map(Shown::from),
            code: Field {
                has_focus: true,
                hint: t.enrol_code_hint,
                ..code_field(t.factor_code)
            },
            next: viewer.next,
            keeps: viewer.keeps,
            problem: "",
            frame,
        }
    }
}

/// `GET /sign-in/enrol`
pub(super) async fn show(State(app): State<App>, viewer: Viewer) -> Result<Response, PageError> {
    match waiting(&app, &viewer, PendingPurpose::SecondFactor).await? {
        Some(_) => page(
            &viewer,
            StatusCode::OK,
            &EnrolPage::new(&app, &viewer, None),
        ),
        None => Ok(viewer.answer(Redirect::to("/sign-in"))),
    }
}

/// `POST /sign-in/enrol`: shows a new secret; with a code, confirms the one that was shown, and ends the sign-in.
pub(super) async fn enrol(
    State(app): State<App>,
    PageForm { mut viewer, form }: PageForm,
) -> Result<Response, PageError> {
    carry(&mut viewer, &form)?;
    if !form.has("code") {
        let setup = mfa::enrolment(&app, viewer.secret.secret(), &viewer.context).await;
        return match setup {
            Ok(setup) => page(
                &viewer,
                StatusCode::OK,
                &EnrolPage::new(&app, &viewer, Some(setup)),
            ),
            Err(error) => refused(&app, &viewer, None, error),
        };
    }
    match ended(&app, &viewer, &form).await {
        Ok(ended) => finished(&app, &viewer, ended).await,
        Err(error) => {
            let setup = shown_before(&app, &viewer, &form).await?;
            refused(&app, &viewer, setup, error)
        }
    }
}

/// What the form's page showed.
async fn shown_before(
    app: &App,
    viewer: &Viewer,
    form: &Form,
) -> Result<Option<mfa::Setup>, PageError> {
    let Some(waiting) = waiting(app, viewer, PendingPurpose::SecondFactor).await? else {
        return Ok(None);
    };
    let user = match &waiting.user_id {
        Some(id) => app.store().user(id).await?,
        None => None,
    };
    let secret = form.one("secret").ok().flatten().unwrap_or_default();
    Ok(user.and_then(|user| mfa::Setup::of(app, &user, secret)))
}

fn refused(
    app: &App,
    viewer: &Viewer,
    setup: Option<mfa::Setup>,
    error: ApiError,
) -> Result<Response, PageError> {
    if error.refusal() == "sign_in_over" {
        return Ok(Redirect::to("/sign-in?over=yes").into_response());
    }
    let mut shown = EnrolPage::new(app, viewer, setup);
    let text = shown.frame.t.refusal(error.refusal());
    shown.problem = blame_code(&mut shown.code, &error, text);
    with_fields_of(error, page(viewer, StatusCode::OK, &shown)?)
}
