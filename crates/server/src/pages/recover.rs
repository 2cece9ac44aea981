//! `/forgot` asks for a mail, `/reset` chooses a new password by it, `/verify` confirms an address. A link alone does
//! nothing: mail scanners open links, so a button does it. The token of a link is in no other address of the page.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use tokensmith_oauth2::{Form, Secret};

use super::{
    field::Field,
    form::{PageForm, field, secret_field},
    frame::{Frame, page},
    notice::NoticePage,
    sign_in::with_fields_of,
    viewer::Viewer,
};
use crate::{
    account::{self, ResetRequest, Shows},
    app::App,
    error::{ApiError, PageError},
};

/// A form of one button: what it is for, its fields, and a link's token.
#[derive(Template)]
#[template(path = "recover.html")]
struct RecoverPage {
    frame: Frame,
    title: &'static str,
    lead: &'static str,
    action: &'static str,
    address: &'static str,
    token: String,
    fields: Vec<Field>,
    problem: &'static str,
}

/// What one of the three is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Forgot,
    Reset,
    Verify,
}

impl RecoverPage {
    fn new(app: &App, viewer: &Viewer, purpose: Purpose, token: &str) -> Self {
        let frame = Frame::new(app, viewer);
        let t = frame.t;
        let (title, lead, action, address) = match purpose {
            Purpose::Forgot => (t.forgot, t.forgot_lead, t.forgot_action, "/forgot"),
            Purpose::Reset => (t.reset, t.reset_lead, t.reset_action, "/reset"),
            Purpose::Verify => (t.verify, t.verify_lead, t.verify_action, "/verify"),
        };
        let mut fields = Vec::new();
        if token.is_empty() {
            fields.push(Field::email(t.email));
        }
        if token.is_empty() && purpose != Purpose::Forgot {
            fields.push(Field {
                hint: t.code_hint,
                autocomplete: "one-time-code",
                ..Field::text("code", t.code)
            });
        }
        if purpose == Purpose::Reset {
            fields.push(Field {
                hint: t.password_hint,
                ..Field::password("password", t.password_new, "new-password")
            });
        }
        Self {
            token: token.to_owned(),
            problem: "",
            title,
            lead,
            action,
            address,
            fields,
            frame,
        }
    }

    /// The same once more, with what was typed and what is wrong with it.
    fn refused(
        mut self,
        form: &Form,
        error: ApiError,
        viewer: &Viewer,
    ) -> Result<Response, PageError> {
        let word = error.refusal();
        let text = self.frame.t.refusal(word);
        let about = word.split('_').next().unwrap_or_default();
        self.problem = text;
        for shown in &mut self.fields {
            if shown.name == "email" {
                shown.value = field(form, "email")?.to_owned();
            }
            if shown.name == about {
                (shown.problem, shown.has_focus, self.problem) = (text, true, "");
            }
        }
        with_fields_of(error, page(viewer, StatusCode::OK, &self)?)
    }
}

fn token_of(uri: &http::Uri) -> String {
    let query = Form::parse(uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let token = query.one("token").ok().flatten();
    token.unwrap_or_default().to_owned()
}

fn shows(form: &Form) -> Result<Shows, PageError> {
    let token = field(form, "token")?;
    if !token.is_empty() {
        let token = Some(Secret::from(token));
        return Ok(Shows {
            token,
            email: None,
            code: None,
        });
    }
    // People copy the code as it stands in the mail, in two halves.
    let code = field(form, "code")?.replace(' ', "");
    Ok(Shows {
        token: None,
        email: Some(field(form, "email")?.to_owned()),
        code: Some(Secret::from(code)),
    })
}

/// `GET /forgot`
pub(super) async fn show_forgot(
    State(app): State<App>,
    viewer: Viewer,
) -> Result<Response, PageError> {
    let shown = RecoverPage::new(&app, &viewer, Purpose::Forgot, "");
    page(&viewer, StatusCode::OK, &shown)
}

/// `POST /forgot`
pub(super) async fn forgot(
    State(app): State<App>,
    PageForm { viewer, form }: PageForm,
) -> Result<Response, PageError> {
    let email = field(&form, "email")?;
    if let Err(error) = account::reset_requested(&app, email, &viewer.context).await {
        let shown = RecoverPage::new(&app, &viewer, Purpose::Forgot, "");
        return shown.refused(&form, error, &viewer);
    }
    let frame = Frame::new(&app, &viewer);
    let t = frame.t;
    let notice = NoticePage {
        title: t.forgot_sent,
        text: t.forgot_sent_text,
        action: t.code_enter,
        address: "/reset",
        frame,
    };
    page(&viewer, StatusCode::ACCEPTED, &notice)
}

/// `GET /reset`
pub(super) async fn show_reset(
    State(app): State<App>,
    viewer: Viewer,
    uri: http::Uri,
) -> Result<Response, PageError> {
    let shown = RecoverPage::new(&app, &viewer, Purpose::Reset, &token_of(&uri));
    page(&viewer, StatusCode::OK, &shown)
}

/// `POST /reset`
pub(super) async fn reset(
    State(app): State<App>,
    PageForm { viewer, form }: PageForm,
) -> Result<Response, PageError> {
    let request = ResetRequest {
        shows: shows(&form)?,
        new_password: secret_field(&form, "password")?,
    };
    if let Err(error) = account::reset(&app, &request, &viewer.context).await {
        let shown = RecoverPage::new(&app, &viewer, Purpose::Reset, field(&form, "token")?);
        return shown.refused(&form, error, &viewer);
    }
    let frame = Frame::new(&app, &viewer);
    let t = frame.t;
    let notice = NoticePage {
        title: t.reset_done,
        text: t.reset_done_text,
        action: t.sign_in,
        address: "/sign-in",
        frame,
    };
    page(&viewer, StatusCode::OK, &notice)
}

/// `GET /verify`
pub(super) async fn show_verify(
    State(app): State<App>,
    viewer: Viewer,
    uri: http::Uri,
) -> Result<Response, PageError> {
    let shown = RecoverPage::new(&app, &viewer, Purpose::Verify, &token_of(&uri));
    page(&viewer, StatusCode::OK, &shown)
}

/// `POST /verify`
pub(super) async fn verify(
    State(app): State<App>,
    PageForm { viewer, form }: PageForm,
) -> Result<Response, PageError> {
    if let Err(error) = account::verified(&app, &shows(&form)?, &viewer.context).await {
        let shown = RecoverPage::new(&app, &viewer, Purpose::Verify, field(&form, "token")?);
        return shown.refused(&form, error, &viewer);
    }
    let frame = Frame::new(&app, &viewer);
    let t = frame.t;
    let notice = NoticePage {
        title: t.verify_done,
        text: t.verify_done_text,
        action: t.to_account,
        address: "/account",
        frame,
    };
    page(&viewer, StatusCode::OK, &notice)
}
