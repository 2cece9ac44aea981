//! `/docs`: the document as pages to read and to try. Everything comes from this program; nothing runs but its script.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The API to read and to try.
#[utoipa::path(get, path = "/docs", responses((status = 200, content_type = "text/html", body = String)))]
pub async fn page() -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = asset(TYPE, include_str!("page/page.html"));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    fields.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    fields.insert(OPENER, HeaderValue::from_static("same-origin"));
    response
}

/// What makes the page.
#[utoipa::path(get, path = "/docs/page.js", responses((status = 200, content_type = "text/javascript", body = String)))]
pub async fn script() -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
    asset(TYPE, include_str!("page/page.js"))
}

/// How the page looks.
#[utoipa::path(get, path = "/docs/page.css", responses((status = 200, content_type = "text/css", body = String)))]
pub async fn style() -> Response {
    const TYPE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
    asset(TYPE, include_str!("page/page.css"))
}

fn asset(kind: HeaderValue, text: &'static str) -> Response {
    let fields = [
        (header::CONTENT_TYPE, kind),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=300"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    (fields, text).into_response()
}
