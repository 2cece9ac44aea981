//! Forms that browsers send. Before a field is read, the form must come from a page of this server (`Sec-Fetch-Site`,
//! `Origin`) and hold the token that only a page shown to this very browser holds. Signed-out visitors' forms as well.

use aws_lc_rs::hmac;
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;
use tokensmith_oauth2::{Form, Secret};

use super::{
    cookie::BrowserSecret,
    viewer::{SignedInViewer, Viewer},
};
use crate::{
    app::App,
    config::{Issuer, MasterKey},
    error::{PageError, broken_body_sentence},
};

const LABEL: &[u8] = b"tokensmith page forms";
/// The field that holds the token.
pub(super) const TOKEN: &str = "form_token";

/// Makes and checks the tokens of forms.
pub struct FormKey(hmac::Key);

impl FormKey {
    /// The same on every node.
    pub(crate) fn new(master: &MasterKey) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, master.expose());
        let key = hmac::sign(&master, LABEL);
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    /// The token of every form shown to this browser, until its cookie changes.
    pub(super) fn token(&self, browser: &BrowserSecret) -> String {
        let tag = hmac::sign(&self.0, browser.expose().as_bytes());
        URL_SAFE_NO_PAD.encode(tag)
    }
}

/// A form that a page of ours sent, and who sent it.
pub(crate) struct PageForm {
    pub(crate) viewer: Viewer,
    pub(crate) form: Form,
}

/// The same from a browser whose user is signed in.
pub(crate) struct SignedInForm {
    pub(crate) page: SignedInViewer,
    pub(crate) form: Form,
}

impl FromRequest<App> for PageForm {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts, body);
        let form = checked(request, app, &viewer).await?;
        Ok(Self { viewer, form })
    }
}

impl FromRequest<App> for SignedInForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let page = SignedInViewer::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts, body);
        let form = checked(request, app, &page.viewer).await;
        let form = form.map_err(IntoResponse::into_response)?;
        Ok(Self { page, form })
    }
}

async fn checked(request: Request, app: &App, viewer: &Viewer) -> Result<Form, PageError> {
    refuse_other_sites(request.headers(), &app.config().issuer)?;
    let form = read(request).await?;
    let sent = form.one(TOKEN).ok().flatten().unwrap_or_default();
    let expected = app.form_key().token(&viewer.secret);
    if bool::from(sent.as_bytes().ct_eq(expected.as_bytes())) {
        Ok(form)
    } else {
        Err(PageError::forged(
            "the form's token is missing or another browser's",
        ))
    }
}

/// Our pages send no referrer, and so `Origin: null` (Fetch §3.2), which counts only beside `Sec-Fetch-Site`.
fn refuse_other_sites(headers: &HeaderMap, issuer: &Issuer) -> Result<(), PageError> {
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return Err(PageError::forged("sent by another site"));
    }
    let origin = match headers.get(header::ORIGIN) {
        None => return Ok(()),
        Some(origin) => origin.to_str().unwrap_or_default(),
    };
    if origin == issuer.origin() || (origin == "null" && site.is_some()) {
        return Ok(());
    }
    Err(PageError::forged("sent by another origin"))
}

async fn read(request: Request) -> Result<Form, PageError> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(PageError::unreadable(status, "not a form"));
    }
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|broken| {
        PageError::unreadable(broken.status(), broken_body_sentence(broken.status()).1)
    })?;
    let unreadable = |error| PageError::unreadable(StatusCode::BAD_REQUEST, error);
    Form::parse(&body).map_err(unreadable)
}

/// A field that may be there once.
///
/// # Errors
/// 400, when it is there twice.
pub(crate) fn field<'a>(form: &'a Form, name: &str) -> Result<&'a str, PageError> {
    let unreadable = |error| PageError::unreadable(StatusCode::BAD_REQUEST, error);
    Ok(form.one(name).map_err(unreadable)?.unwrap_or_default())
}

/// A field that holds a password.
///
/// # Errors
/// 400, when it is there twice.
pub(crate) fn secret_field(form: &Form, name: &str) -> Result<Secret, PageError> {
    field(form, name).map(Secret::from)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_comes_from_this_origin_or_nobody_says_where_from() {
        let issuer = Issuer::parse("https://auth.example/tenant").unwrap();
        for (site, origin, good) in [
            (None, None, true),
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("null"), true),
            (Some("same-origin"), Some("https://auth.example"), true),
            (None, Some("https://auth.example"), true),
            (None, Some("null"), false),
            (Some("same-site"), None, false),
            (Some("cross-site"), Some("https://auth.example"), false),
            (Some("none"), None, false),
            (None, Some("https://evil.test"), false),
            (None, Some("http://auth.example"), false),
            (None, Some("https://auth.example.evil.test"), false),
            (Some("same-origin"), Some("https://evil.test"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let is_taken = refuse_other_sites(&headers, &issuer).is_ok();
            assert_eq!(is_taken, good, "{site:?} {origin:?}");
        }
    }
}
