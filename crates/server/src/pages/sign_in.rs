//! `GET` and `POST /sign-in`, `POST /sign-out`: a browser gets a session, and loses it. Each changes the cookie.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use tokensmith_store::{Authentication, EndSession, SessionId, SetBrowserCookie, User};

use super::{
    cookie::{self, BrowserSecret},
    field::{Field, blame},
    form::{PageForm, field, secret_field},
    frame::{Frame, page},
    next, second_factor,
    viewer::Viewer,
};
use crate::{
    app::App,
    error::{ApiError, PageError},
    login::{self, LoginRequest},
    session::{self, Begun, SignIn},
    token::longest_user_token,
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    login: Field,
    password: Field,
    remembers: bool,
    next: &'static str,
    org: String,
    /// What is wrong with all of it.
    problem: &'static str,
    notice: &'static str,
}

impl SignInPage {
    fn new(app: &App, viewer: &Viewer) -> Self {
        let frame = Frame::new(app, viewer);
        let t = frame.t;
        Self {
            login: Field {
                autocomplete: "username",
                has_focus: true,
                ..Field::text("email", t.login)
            },
            password: Field::password("password", t.password, "current-password"),
            remembers: true,
            next: viewer.next,
            org: viewer
                .asked_org
                .as_ref()
                .map_or(String::new(), ToString::to_string),
            problem: "",
            notice: "",
            frame,
        }
    }
}

/// `GET /sign-in`
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    uri: http::Uri,
) -> Result<Response, PageError> {
    if viewer.signed_in.is_some() {
        return Ok(viewer.answer(Redirect::to(viewer.next)));
    }
    let mut shown = SignInPage::new(&app, &viewer);
    if uri.query() == Some("over=yes") {
        shown.problem = shown.frame.t.sign_in_over;
    }
    page(&viewer, StatusCode::OK, &shown)
}

/// `POST /sign-in`
pub(super) async fn sign_in(
    State(app): State<App>,
    PageForm { mut viewer, form }: PageForm,
) -> Result<Response, PageError> {
    viewer.next = next::page(Some(field(&form, "next")?));
    viewer.asked_org = field(&form, "org")?.parse().ok();
    let org = viewer.asked_org.as_ref().map(ToString::to_string);
    let request = LoginRequest {
        email: field(&form, "email")?.to_owned(),
        password: secret_field(&form, "password")?,
        code: None,
        device_token: cookie::device(&viewer.headers),
        org_id: org,
    };
    let remembers = form.has("remember");
    match begun(&app, &viewer, &request).await {
        Ok((user, Begun::Session(opened))) => {
            welcomed(&app, &viewer, (&user, opened.session_id), remembers).await
        }
        Ok((_, Begun::Pending(pending))) => {
            viewer.keeps = remembers;
            Ok(second_factor::ask(&viewer, &pending))
        }
        Err(error) => refused(&app, &viewer, (request, remembers), error),
    }
}

/// The browser of a new session gets its cookie, and goes where it wanted to.
pub(super) async fn welcomed(
    app: &App,
    viewer: &Viewer,
    (user, session): (&User, SessionId),
    keeps: bool,
) -> Result<Response, PageError> {
    let secret = open_browser(app, viewer, user, session).await?;
    let settings = app.config();
    let life = settings.session.lifetime;
    let life = life.unwrap_or(settings.tokens.refresh_token_lifetime);
    let mut response = Redirect::to(viewer.next).into_response();
    let headers = response.headers_mut();
    let cookie = secret.set(keeps.then_some(life.as_secs()));
    headers.append(http::header::SET_COOKIE, cookie);
    Ok(response)
}

async fn begun(
    app: &App,
    viewer: &Viewer,
    request: &LoginRequest,
) -> Result<(User, Begun), ApiError> {
    let org = request.check()?;
    let context = &viewer.context;
    let user = login::by_password(app, &request.email, &request.password, context).await?;
    let proved = SignIn {
        user: &user,
        org: org.as_ref(),
        authentication: &Authentication::password(context.now),
        device: request.device_token.as_ref(),
        headers: &viewer.headers,
    };
    let begun = session::begin(app, proved, context).await?;
    Ok((user, begun))
}

/// Gives the browser of a new session its cookie; the visitor's value before is of no use any more.
async fn open_browser(
    app: &App,
    viewer: &Viewer,
    user: &User,
    session_id: SessionId,
) -> Result<BrowserSecret, PageError> {
    let secret = BrowserSecret::new(app.entropy());
    let set = SetBrowserCookie {
        session_id,
        previous: None,
        cookie: secret.digest(),
        context: viewer.context.audit(Some(format!("user:{}", user.id))),
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
    (request, remembers): (LoginRequest, bool),
    error: ApiError,
) -> Result<Response, PageError> {
    let mut shown = SignInPage::new(app, viewer);
    let t = shown.frame.t;
    let word = error.refusal();
    let text = match word {
        "email_length" => t.login_missing,
        "password_length" => t.password_missing,
        word => t.refusal(word),
    };
    shown.remembers = remembers;
    shown.login.has_focus = false;
    if blame(&mut [&mut shown.login, &mut shown.password], word, text).is_none() {
        shown.problem = text;
        shown.password.has_focus = true;
    }
    shown.login.value = request.email;
    with_fields_of(error, page(viewer, StatusCode::OK, &shown)?)
}

/// A passkey was not taken: its challenge is used up, so the sign-in begins anew.
pub(super) fn passkey_refused(
    app: &App,
    viewer: &Viewer,
    error: ApiError,
) -> Result<Response, PageError> {
    let mut shown = SignInPage::new(app, viewer);
    shown.problem = shown.frame.t.refusal(error.refusal());
    with_fields_of(error, page(viewer, StatusCode::OK, &shown)?)
}

/// A page with status, `Retry-After` and metric label of the refusal it shows.
pub(super) fn with_fields_of(error: ApiError, page: Response) -> Result<Response, PageError> {
    if error.status().is_server_error() && error.status() != StatusCode::SERVICE_UNAVAILABLE {
        return Err(error.into());
    }
    let (refusal, _) = error.into_response().into_parts();
    let mut response = page;
    *response.status_mut() = refusal.status;
    for name in [http::header::RETRY_AFTER] {
        if let Some(value) = refusal.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.extensions_mut().extend(refusal.extensions);
    Ok(response)
}

/// `POST /sign-out`: ends this browser's session. Who is signed out already is told the same.
pub(super) async fn sign_out(
    State(app): State<App>,
    PageForm { viewer, .. }: PageForm,
) -> Result<Response, PageError> {
    if let Some(signed_in) = &viewer.signed_in {
        let user = &signed_in.user.id;
        let end = EndSession {
            id: signed_in.session.id.clone(),
            user_id: Some(user.clone()),
            reason: "logout",
            revoked_until: viewer.context.now + longest_user_token(&app),
            context: viewer.context.audit(Some(format!("user:{user}"))),
        };
        app.store().write(end).await?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    let cookie = BrowserSecret::new(app.entropy()).set(None);
    let headers = response.headers_mut();
    headers.append(http::header::SET_COOKIE, cookie);
    Ok(response)
}
