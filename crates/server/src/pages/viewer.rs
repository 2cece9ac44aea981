//! Who looks at a page: the browser by its cookie, the language, the organization whose look it gets, and the user if
//! the browser is signed in.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use tokensmith_oauth2::Form;
use tokensmith_store::{OrganizationId, Session, StoreError, TouchSession, User};

use super::{
    brand::Brand,
    cookie::{self, BrowserSecret},
    language::Language,
    next,
};
use crate::{app::App, context::RequestContext, error::PageError};

/// The use of a session is noted at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// A browser that asks for a page.
#[derive(Clone)]
pub(crate) struct Viewer {
    pub(crate) context: RequestContext,
    pub(crate) headers: HeaderMap,
    pub(crate) language: Language,
    pub(crate) brand: Brand,
    pub(crate) path: String,
    /// The organization that the address names, for the look of the page before anybody has signed in.
    pub(crate) asked_org: Option<OrganizationId>,
    /// Where to go after the sign-in.
    pub(crate) next: &'static str,
    /// Whether the sign-in is to outlive the browser.
    pub(crate) keeps: bool,
    pub(crate) secret: BrowserSecret,
    is_new: bool,
    chose_language: bool,
    pub(crate) signed_in: Option<Box<SignedIn>>,
}

/// The user of a browser, and the session that its cookie opens.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: User,
    pub(crate) session: Session,
}

impl FromRequestParts<App> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let Ok(context) = RequestContext::from_request_parts(parts, app).await;
        let query = parts.uri.query().unwrap_or_default();
        let query = Form::parse(query.as_bytes()).unwrap_or_default();
        let first = |name: &str| query.many(name).next();
        let known = BrowserSecret::of(&parts.headers);
        let signed_in = match &known {
            Some(secret) => signed_in(app, secret, &context).await?,
            None => None,
        };
        let asked = first("ui_locales").and_then(Language::of_ui_locales);
        let asked_org: Option<OrganizationId> = first("org").and_then(|org| org.parse().ok());
        let org = match &signed_in {
            Some(signed_in) => signed_in.session.org_id.clone(),
            None => asked_org.clone(),
        };
        let is_new = known.is_none();
        Ok(Self {
            language: asked.unwrap_or_else(|| language(&parts.headers)),
            brand: Brand::of(app, org.as_ref()).await?,
            path: parts.uri.path().to_owned(),
            asked_org,
            next: next::page(first("next")),
            keeps: query.has("keep"),
            secret: known.unwrap_or_else(|| BrowserSecret::new(app.entropy())),
            headers: parts.headers.clone(),
            chose_language: asked.is_some(),
            context,
            is_new,
            signed_in: signed_in.map(Box::new),
        })
    }
}

async fn signed_in(
    app: &App,
    secret: &BrowserSecret,
    context: &RequestContext,
) -> Result<Option<SignedIn>, StoreError> {
    let store = app.store();
    let Some(id) = store.browser_session(secret.digest(), context.now).await? else {
        return Ok(None);
    };
    let Some(session) = store.session(&id).await? else {
        return Ok(None);
    };
    let user = store.user(&session.user_id).await?;
    if context.now.since(session.last_used_at) > NOTED_EVERY {
        let now = context.now;
        store.write(TouchSession { id, now }).await?;
    }
    Ok(user.map(|user| SignedIn { user, session }))
}

fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE);
    let accepted = accepted.and_then(|field| field.to_str().ok());
    cookie::language(headers)
        .and_then(Language::of_tag)
        .or_else(|| accepted.and_then(Language::of_accept_language))
        .unwrap_or_default()
}

impl Viewer {
    /// The cookies that an answer must set, before anything else is proved.
    fn cookies(&self) -> impl Iterator<Item = HeaderValue> {
        let secret = self.is_new.then(|| self.secret.set(None));
        let language = self
            .chose_language
            .then(|| cookie::set_language(self.language.tag()));
        secret.into_iter().chain(language)
    }

    /// An answer, with the cookies it must set.
    pub(crate) fn answer(&self, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        for cookie in self.cookies() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// A browser whose user is signed in. Any other is sent to the sign-in, and then back.
pub(crate) struct SignedInViewer {
    pub(crate) viewer: Viewer,
    pub(crate) signed_in: SignedIn,
}

impl FromRequestParts<App> for SignedInViewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let viewer = Viewer::from_request_parts(parts, app).await;
        let mut viewer = viewer.map_err(IntoResponse::into_response)?;
        match viewer.signed_in.take() {
            Some(signed_in) => Ok(Self {
                signed_in: *signed_in,
                viewer,
            }),
            None => Err(viewer.answer(Redirect::to(&next::sign_in_for(&viewer.path)))),
        }
    }
}
