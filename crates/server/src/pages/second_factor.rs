//! `GET` and `POST /sign-in/code`: a sign-in that waits for a second factor, as a browser ends it. What names it is the
//! browser's cookie, which changes when it begins to wait and once more when it ends.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{StatusCode, header};
use tokensmith_oauth2::Form;
use tokensmith_store::{PendingPurpose, PendingSignIn};

use super::{
    assets,
    cookie::{self, BrowserSecret},
    field::Field,
    form::{PageForm, field},
    frame::{Frame, page},
    next,
    sign_in::{welcomed, with_fields_of},
    viewer::Viewer,
};
use crate::{
    app::App,
    error::{ApiError, PageError},
    login::{self, FinishedSignIn, SecondFactorRequest},
    mfa,
    session::{Pending, pending},
};

/// Where a browser goes whose sign-in waited too long.
const OVER: &str = "/sign-in?over=yes";

#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    frame: Frame,
    code: Field,
    remembers: bool,
    /// What a passkey must sign; empty for a user who has none.
    passkey: String,
    script: String,
    next: &'static str,
    keeps: bool,
    problem: &'static str,
}

impl CodePage {
    /// `None` for a user who has no second factor yet.
    async fn new(
        app: &App,
        viewer: &Viewer,
        waiting: &PendingSignIn,
    ) -> Result<Option<Self>, ApiError> {
        let user = waiting.user_id.as_ref().ok_or_else(pending::over)?;
        let factors = app.store().second_factors(user, None).await?;
        let frame = Frame::new(app, viewer);
        let t = frame.t;
        let hint = if factors.totp {
            t.factor_hint
        } else {
            t.factor_hint_recovery
        };
        let shown = Self {
            code: Field {
                has_focus: true,
                hint,
                ..code_field(t.factor_code)
            },
            remembers: false,
            passkey: match factors.passkeys {
                0 => String::new(),
                _ => mfa::question_to(app, waiting).await?.to_string(),
            },
            script: assets::script_path(),
            next: viewer.next,
            keeps: viewer.keeps,
            problem: "",
            frame,
        };
        Ok(factors.exist().then_some(shown))
    }
}

/// The field of a code that is typed once.
pub(super) fn code_field(label: &'static str) -> Field {
    Field {
        autocomplete: "one-time-code",
        ..Field::text("code", label)
    }
}

/// `GET /sign-in/code`
pub(super) async fn show(State(app): State<App>, viewer: Viewer) -> Result<Response, PageError> {
    let Some(waiting) = waiting(&app, &viewer, PendingPurpose::SecondFactor).await? else {
        return Ok(viewer.answer(Redirect::to(OVER)));
    };
    match CodePage::new(&app, &viewer, &waiting).await? {
        Some(shown) => page(&viewer, StatusCode::OK, &shown),
        None => Ok(viewer.answer(Redirect::to("/sign-in/enrol"))),
    }
}

/// `POST /sign-in/code`
pub(super) async fn end(
    State(app): State<App>,
    PageForm { mut viewer, form }: PageForm,
) -> Result<Response, PageError> {
    carry(&mut viewer, &form)?;
    let Some(waiting) = waiting(&app, &viewer, PendingPurpose::SecondFactor).await? else {
        return Ok(viewer.answer(Redirect::to(OVER)));
    };
    match ended(&app, &viewer, &form).await {
        Ok(ended) => finished(&app, &viewer, ended).await,
        Err(error) if error.refusal() == "sign_in_over" => Ok(Redirect::to(OVER).into_response()),
        Err(error) => {
            let Some(mut shown) = CodePage::new(&app, &viewer, &waiting).await? else {
                return Err(error.into());
            };
            shown.remembers = form.has("device");
            let text = shown.frame.t.refusal(error.refusal());
            shown.problem = blame_code(&mut shown.code, &error, text);
            with_fields_of(error, page(&viewer, StatusCode::OK, &shown)?)
        }
    }
}

/// Puts the text beside the code if it is about it; else gives it back.
pub(super) fn blame_code(code: &mut Field, error: &ApiError, text: &'static str) -> &'static str {
    match error.refusal() {
        "second_factor_refused" | "code_missing" => {
            code.problem = text;
            ""
        }
        _ => text,
    }
}

/// What goes along from page to page of one sign-in.
pub(super) fn carry(viewer: &mut Viewer, form: &Form) -> Result<(), PageError> {
    viewer.next = next::page(Some(field(form, "next")?));
    viewer.keeps = form.has("keep");
    Ok(())
}

/// What waits under the browser's cookie.
pub(super) async fn waiting(
    app: &App,
    viewer: &Viewer,
    purpose: PendingPurpose,
) -> Result<Option<PendingSignIn>, ApiError> {
    match pending::waiting(app, viewer.secret.secret(), purpose, &viewer.context).await {
        Ok(waiting) => Ok(Some(waiting)),
        Err(error) if error.refusal() == "sign_in_over" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends the sign-in by what the form holds: a code, or what a passkey signed.
pub(super) async fn ended(
    app: &App,
    viewer: &Viewer,
    form: &Form,
) -> Result<FinishedSignIn, ApiError> {
    let one = |name| form.one(name).ok().flatten().unwrap_or_default();
    // People type a code as their app shows it, in two halves.
    let code: String = one("code").chars().filter(|c| !c.is_whitespace()).collect();
    let passkey = match form.has("passkey") {
        true => Some(mfa::PasskeyAnswer::read(one("passkey"))?),
        false if code.is_empty() => {
            let sentence = "Enter a code.";
            return Err(ApiError::unprocessable("code_missing", sentence));
        }
        false => None,
    };
    let request = SecondFactorRequest {
        pre_auth_token: viewer.secret.secret().clone(),
        code: passkey.is_none().then(|| code.into()),
        passkey,
        remember_device: form.has("device"),
    };
    login::end(app, &request, &viewer.headers, &viewer.context).await
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
pub(super) struct RecoveryCodesPage {
    pub(super) frame: Frame,
    pub(super) codes: Vec<String>,
    pub(super) next: &'static str,
}

/// The browser gets the session's cookie, and its device's. New recovery codes are shown first.
pub(super) async fn finished(
    app: &App,
    viewer: &Viewer,
    ended: FinishedSignIn,
) -> Result<Response, PageError> {
    let session = ended.subject.session_id;
    let mut response = welcomed(app, viewer, (&ended.user, session), viewer.keeps).await?;
    if let Some(device) = &ended.device_token {
        let life = app.config().session.remembered_device_lifetime.as_secs();
        let headers = response.headers_mut();
        headers.append(header::SET_COOKIE, cookie::set_device(device, life));
    }
    if ended.recovery_codes.is_empty() {
        return Ok(response);
    }
    let codes = RecoveryCodesPage {
        frame: Frame::new(app, viewer),
        codes: ended.recovery_codes,
        next: viewer.next,
    };
    let mut shown = page(viewer, StatusCode::OK, &codes)?;
    for cookie in response.headers().get_all(header::SET_COOKIE) {
        shown
            .headers_mut()
            .append(header::SET_COOKIE, cookie.clone());
    }
    Ok(shown)
}

/// A password was right and not enough: the cookie names what waits, and the browser goes where it is asked for more.
pub(super) fn ask(viewer: &Viewer, pending: &Pending) -> Response {
    let page = match pending.requires_enrolment() {
        true => "/sign-in/enrol",
        false => "/sign-in/code",
    };
    wait_at(viewer, page, &BrowserSecret::waiting(pending.token()))
}

/// Goes on at a page, with the cookie that names what waits there.
pub(super) fn wait_at(viewer: &Viewer, page: &str, waiting: &BrowserSecret) -> Response {
    let keep = if viewer.keeps { "&keep=yes" } else { "" };
    let org = viewer.asked_org.as_ref();
    let org = org.map_or(String::new(), |org| format!("&org={org}"));
    let address = format!("{page}?next={}{keep}{org}", viewer.next);
    let mut response = Redirect::to(&address).into_response();
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, waiting.set(None));
    response
}
