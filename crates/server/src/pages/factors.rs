//! `GET` and `POST /account/factors`: authenticator app, passkeys and recovery codes of an account. Whoever changes them
//! has just proved who they are, and does so here, once more, if it was longer ago.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use tokensmith_oauth2::{Form, Secret};
use tokensmith_store::{PasskeyId, SecondFactors};

use super::{
    account,
    enrol::Shown,
    field::Field,
    form::SignedInForm,
    frame::{Frame, page},
    messages::filled,
    second_factor::{RecoveryCodesPage, blame_code, code_field},
    sign_in::with_fields_of,
    viewer::{SignedIn, SignedInViewer, Viewer},
    when::When,
};
use crate::{
    app::App,
    error::{ApiError, PageError},
    login::{self, Reauthentication},
    mfa, session,
};

const HERE: &str = "/account/factors";
const DONE: &str = "/account/factors?done=yes";
const PROVED: &str = "/account/factors?done=proved";

#[derive(Template)]
#[template(path = "factors.html")]
struct FactorsPage {
    frame: Frame,
    /// Whether anything may be changed now.
    is_recent: bool,
    has_factors: bool,
    has_app: bool,
    passkeys: Vec<ShownPasskey>,
    codes_left: String,
    /// An app that waits for its first code.
    setup: Option<Shown>,
    password: Field,
    code: Field,
    problem: &'static str,
    notice: &'static str,
}

struct ShownPasskey {
    id: PasskeyId,
    name: String,
    added: When,
}

impl FactorsPage {
    async fn new(app: &App, viewer: &Viewer, signed_in: &SignedIn) -> Result<Self, PageError> {
        let (user, now) = (&signed_in.user, viewer.context.now);
        let factors = app.store().second_factors(&user.id, None).await?;
        let passkeys = app.store().passkeys(&user.id).await?;
        let frame = account::frame(app, viewer, user, "factors");
        let t = frame.t;
        let shown = |passkey: tokensmith_store::Passkey| ShownPasskey {
            id: passkey.id,
            name: passkey.name,
            added: When::new(passkey.created_at, now, t),
        };
        Ok(Self {
            is_recent: session::is_recent(app, &signed_in.session, factors, &viewer.context),
            has_factors: SecondFactors::exist(&factors),
            has_app: factors.totp,
            passkeys: passkeys.into_iter().map(shown).collect(),
            codes_left: filled(t.codes_left, &[&factors.recovery_codes.to_string()]),
            setup: None,
            password: Field::password("password", t.password_current, "current-password"),
            code: Field {
                hint: if factors.totp {
                    t.factor_hint
                } else {
                    t.factor_hint_recovery
                },
                ..code_field(t.factor_code)
            },
            problem: "",
            notice: "",
            frame,
        })
    }

    fn with_setup(mut self, setup: mfa::Setup) -> Self {
        if !self.is_recent {
            return self;
        }
        self.code.hint = self.frame.t.enrol_code_hint;
        self.code.has_focus = true;
        self.setup = Some(setup.into());
        self
    }
}

/// `GET /account/factors`
pub(super) async fn show(
    State(app): State<App>,
    SignedInViewer { viewer, signed_in }: SignedInViewer,
    uri: http::Uri,
) -> Result<Response, PageError> {
    let mut shown = FactorsPage::new(&app, &viewer, &signed_in).await?;
    shown.notice = match uri.query() {
        Some("done=yes") => shown.frame.t.factors_done,
        Some("done=proved") => shown.frame.t.factors_proved,
        _ => "",
    };
    page(&viewer, StatusCode::OK, &shown)
}

/// What a change comes to.
enum Changed {
    /// The page anew.
    To(&'static str),
    Setup(mfa::Setup),
    /// Shown this once.
    Codes(Vec<String>),
}

impl Changed {
    fn codes(codes: Vec<String>) -> Self {
        match codes.is_empty() {
            true => Self::To(DONE),
            false => Self::Codes(codes),
        }
    }
}

/// `POST /account/factors`
pub(super) async fn change(
    State(app): State<App>,
    SignedInForm { page: of, form }: SignedInForm,
) -> Result<Response, PageError> {
    let SignedInViewer { viewer, signed_in } = of;
    match changed(&app, &viewer, &signed_in, &form).await {
        Ok(Changed::To(address)) => Ok(Redirect::to(address).into_response()),
        Ok(Changed::Setup(setup)) => {
            let shown = FactorsPage::new(&app, &viewer, &signed_in).await?;
            page(&viewer, StatusCode::OK, &shown.with_setup(setup))
        }
        Ok(Changed::Codes(codes)) => {
            let frame = Frame::new(&app, &viewer);
            let next = HERE;
            page(
                &viewer,
                StatusCode::OK,
                &RecoveryCodesPage { frame, codes, next },
            )
        }
        Err(error) => refused(&app, &viewer, &signed_in, (&form, error)).await,
    }
}

async fn changed(
    app: &App,
    viewer: &Viewer,
    SignedIn { user, session }: &SignedIn,
    form: &Form,
) -> Result<Changed, ApiError> {
    let one = |name| form.one(name).ok().flatten().unwrap_or_default();
    let code: String = one("code").split_whitespace().collect();
    let context = &viewer.context;
    if one("action") == "prove" {
        let request = Reauthentication {
            password: Secret::from(one("password")),
            code: (!code.is_empty()).then(|| Secret::from(code)),
        };
        login::proved_again(app, (user, session), &request, context).await?;
        return Ok(Changed::To(PROVED));
    }
    session::check_recent(app, session, context).await?;
    match one("action") {
        "app" => Ok(Changed::Setup(mfa::set_up(app, user, context).await?)),
        "confirm" => {
            let codes = mfa::confirm_in(app, (user, session), &code, context).await?;
            Ok(Changed::codes(codes))
        }
        "remove_app" => {
            mfa::remove_app(app, user, context).await?;
            Ok(Changed::To(DONE))
        }
        "remove_passkey" => {
            let unknown = |_| ApiError::not_found("There is no such passkey.");
            let id = one("passkey").parse().map_err(unknown)?;
            mfa::remove_passkey(app, user, id, context).await?;
            Ok(Changed::To(DONE))
        }
        "codes" => {
            let codes = mfa::new_recovery_codes(app, user, context).await?;
            Ok(Changed::Codes(codes))
        }
        _ => Err(ApiError::not_found("There is no such action.")),
    }
}

async fn refused(
    app: &App,
    viewer: &Viewer,
    signed_in: &SignedIn,
    (form, error): (&Form, ApiError),
) -> Result<Response, PageError> {
    if error.status() == StatusCode::NOT_FOUND {
        return Err(error.into());
    }
    let mut shown = FactorsPage::new(app, viewer, signed_in).await?;
    let secret = form.one("secret").ok().flatten().unwrap_or_default();
    if let Some(setup) = mfa::Setup::of(app, &signed_in.user, secret) {
        shown = shown.with_setup(setup);
    }
    let t = shown.frame.t;
    let text = t.refusal(error.refusal());
    match error.refusal() {
        "login_refused" => {
            shown.password.problem = t.password_wrong;
            shown.password.has_focus = true;
        }
        "second_factor_missing" => shown.code.problem = text,
        _ => shown.problem = blame_code(&mut shown.code, &error, text),
    }
    with_fields_of(error, page(viewer, StatusCode::OK, &shown)?)
}
