//! `GET` and `POST /sign-in/passkey`: a passkey signs somebody in alone. The first form asks for a challenge, which the
//! browser's cookie names from then on; the second holds what was signed. A challenge is good once.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use tokensmith_oauth2::Form;
use tokensmith_store::PendingPurpose;

use super::{
    assets,
    cookie::BrowserSecret,
    form::{PageForm, field},
    frame::{Frame, page},
    next,
    second_factor::{wait_at, waiting},
    sign_in::{passkey_refused, welcomed},
    viewer::Viewer,
};
use crate::{
    app::App,
    error::{ApiError, PageError},
    login::{self, FinishedSignIn, PasskeySignIn},
    mfa,
};

#[derive(Template)]
#[template(path = "passkey.html")]
struct PasskeyPage {
    frame: Frame,
    passkey: String,
    script: String,
    next: &'static str,
    org: String,
}

/// `GET /sign-in/passkey`
pub(super) async fn show(State(app): State<App>, viewer: Viewer) -> Result<Response, PageError> {
    let Some(waiting) = waiting(&app, &viewer, PendingPurpose::Passkey).await? else {
        return Ok(viewer.answer(Redirect::to("/sign-in")));
    };
    let org = viewer.asked_org.as_ref();
    let shown = PasskeyPage {
        frame: Frame::new(&app, &viewer),
        passkey: mfa::question_to(&app, &waiting).await?.to_string(),
        script: assets::script_path(),
        next: viewer.next,
        org: org.map_or(String::new(), ToString::to_string),
    };
    page(&viewer, StatusCode::OK, &shown)
}

/// `POST /sign-in/passkey`
pub(super) async fn sign_in(
    State(app): State<App>,
    PageForm { mut viewer, form }: PageForm,
) -> Result<Response, PageError> {
    viewer.next = next::page(Some(field(&form, "next")?));
    viewer.asked_org = field(&form, "org")?.parse().ok();
    if viewer.signed_in.is_some() {
        return Ok(Redirect::to(viewer.next).into_response());
    }
    if !form.has("passkey") {
        let token = mfa::begin_passkey_sign_in(&app, &viewer.context).await?;
        let secret = BrowserSecret::waiting(&token);
        return Ok(wait_at(&viewer, "/sign-in/passkey", &secret));
    }
    match signed(&app, &viewer, &form).await {
        Ok(ended) => {
            let session = ended.subject.session_id;
            welcomed(&app, &viewer, (&ended.user, session), form.has("remember")).await
        }
        Err(error) => passkey_refused(&app, &viewer, error),
    }
}

async fn signed(app: &App, viewer: &Viewer, form: &Form) -> Result<FinishedSignIn, ApiError> {
    let answer = form.one("passkey").ok().flatten().unwrap_or_default();
    let request = PasskeySignIn {
        pre_auth_token: viewer.secret.secret().clone(),
        passkey: mfa::PasskeyAnswer::read(answer)?,
        org_id: viewer.asked_org.clone(),
    };
    login::end_by_passkey(app, &request, &viewer.headers, &viewer.context).await
}
