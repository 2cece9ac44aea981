//! What every page has in common: the words around its content, the header fields that keep it apart from other sites
//! (ASVS 5.0 §3.4), and the page of a refusal.

use askama::Template;
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokensmith_oauth2::form::encode_one;

use super::{assets, brand::Brand, language::Language, messages::Messages, next, viewer::Viewer};
use crate::{
    app::App,
    error::{PageError, PageRefusal, no_store},
};

/// No script but our own files, nothing inline, no other site, in no frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];
const TWO_YEARS: &str = "max-age=63072000";

/// The words around a page's content.
pub(crate) struct Frame {
    /// Every text in the page's language.
    pub(crate) t: &'static Messages,
    pub(crate) language: Language,
    pub(crate) brand: Brand,
    pub(crate) form_token: String,
    pub(crate) style: String,
    pub(crate) icon: String,
    /// The other languages, each with the address of this page in it.
    pub(crate) languages: Vec<OtherLanguage>,
    /// The name of the page in the menu of the account.
    pub(crate) here: &'static str,
    /// Who is signed in.
    pub(crate) email: String,
}

/// This page in another language.
pub(crate) struct OtherLanguage {
    pub(crate) language: Language,
    pub(crate) address: String,
}

impl Frame {
    /// The frame of a page for anybody.
    pub(crate) fn new(app: &App, viewer: &Viewer) -> Self {
        let email = viewer.signed_in.as_ref();
        let email = email.map(|signed_in| signed_in.user.email.clone());
        Self {
            t: viewer.language.messages(),
            language: viewer.language,
            brand: viewer.brand.clone(),
            form_token: app.form_key().token(&viewer.secret),
            style: assets::style_path(),
            icon: assets::icon_path(),
            languages: other_languages(viewer),
            here: "",
            email: email.unwrap_or_default(),
        }
    }
}

fn other_languages(viewer: &Viewer) -> Vec<OtherLanguage> {
    let org = viewer.asked_org.as_ref();
    let mut rest = org.map_or(String::new(), |org| format!("&org={org}"));
    if viewer.next != next::page(None) {
        rest.push_str("&next=");
        rest.push_str(viewer.next);
    }
    if viewer.keeps {
        rest.push_str("&keep=yes");
    }
    let others = Language::ALL.into_iter();
    others
        .filter(|language| *language != viewer.language)
        .map(|language| OtherLanguage {
            language,
            address: format!(
                "{}?ui_locales={}{rest}",
                viewer
                    .path
                    .split('/')
                    .map(encode_one)
                    .collect::<Vec<_>>()
                    .join("/"),
                language.tag()
            ),
        })
        .collect()
}

/// A page with its status.
pub(crate) fn page(
    viewer: &Viewer,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, PageError> {
    let html = template
        .render()
        .map_err(|error| PageError::unreadable(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    Ok(viewer.answer((status, Html(html))))
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    frame: Frame,
    title: &'static str,
    text: &'static str,
    correlation_id: String,
    start: &'static str,
}

/// Puts the header fields on every answer, and writes the page of a refusal.
pub(super) async fn framed(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let kept = parts.clone();
    let response = next.run(Request::from_parts(kept, body)).await;
    let mut response = match response.extensions().get::<PageRefusal>() {
        Some(PageRefusal(word)) => {
            let viewer = <Viewer as FromRequestParts<App>>::from_request_parts(&mut parts, &app);
            shown(&app, viewer.await.ok(), word, response)
        }
        None => response,
    };
    protect(response.headers_mut(), app.config().issuer.is_https());
    response
}

/// The refusal as a page; without a viewer, because the store does not answer, it stays without text.
fn shown(app: &App, viewer: Option<Viewer>, word: &str, refusal: Response) -> Response {
    let Some(viewer) = viewer else { return refusal };
    let t = viewer.language.messages();
    let title = match word {
        "page_forged" => t.forged_title,
        "not_found" => t.nothing_here_title,
        _ => t.failed_title,
    };
    let correlation_id = viewer.context.correlation_id.as_ref();
    let correlation_id = correlation_id.map(|id| id.as_str().to_owned());
    let page = RefusalPage {
        frame: Frame::new(app, &viewer),
        title,
        text: t.refusal(word),
        correlation_id: correlation_id.unwrap_or_default(),
        start: next::page(None),
    };
    let (parts, _) = refusal.into_parts();
    let html = Html(page.render().unwrap_or_default()).into_response();
    let (shown, body) = html.into_parts();
    let mut response = Response::from_parts(parts, body);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().extend(shown.headers);
    viewer.answer(response)
}

fn protect(headers: &mut HeaderMap, is_https: bool) {
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_https {
        let value = HeaderValue::from_static(TWO_YEARS);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        no_store(headers);
    }
}
