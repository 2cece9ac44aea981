//! The document of the API (OpenAPI 3.1), and the pages that show it. What an operation takes and answers stands at its
//! handler (`#[utoipa::path]`); what all share is put in by `finish`. A test compares the document with the router.

mod declarations;
mod finish;
mod forms;
mod page;
mod routes;
mod shared;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::Value;
use utoipa::OpenApi;

pub(crate) use declarations::{DeclarationDocument, DeclarationPage};
pub(crate) use forms::{IntrospectionForm, MachineSignIn, TokenForm, TokenRequest};
pub use page::{page, script, style};
pub use routes::Routes;
pub(crate) use shared::{AuditPage, Made};

use crate::{
    access, account, admin, api_keys, groups, introspect, jwks, legacy, login, metadata, mfa, orgs,
    revocations, revoke, roles, session, status, token,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tokensmith",
        description = "An OAuth 2 / OpenID Connect authorization server. Every answer carries `X-Correlation-ID`."
    ),
    components(schemas(shared::Problem, shared::OAuthProblem))
)]
struct Head;

#[derive(OpenApi)]
#[openapi(paths(document, page::page, page::script, page::style))]
struct Own;

/// The document, whole.
pub fn whole() -> &'static Value {
    static WHOLE: LazyLock<Value> = LazyLock::new(|| finish::finish(Head::openapi(), features()));
    &WHOLE
}

/// The document as text for people and version control.
pub fn text() -> String {
    format!("{:#}\n", whole())
}

/// Every feature with its name in the document. A new feature gets a line here.
fn features() -> Vec<(&'static str, utoipa::openapi::OpenApi)> {
    vec![
        ("discovery", metadata::Api::openapi()),
        ("discovery", jwks::Api::openapi()),
        ("oauth", token::Api::openapi()),
        ("oauth", introspect::Api::openapi()),
        ("oauth", revoke::Api::openapi()),
        ("oauth", revocations::Api::openapi()),
        ("accounts", login::Api::openapi()),
        ("accounts", account::Api::openapi()),
        ("accounts", session::Api::openapi()),
        ("accounts", mfa::Api::openapi()),
        ("accounts", roles::Api::openapi()),
        ("organizations", orgs::Api::openapi()),
        ("access", access::Api::openapi()),
        ("accounts", api_keys::Api::openapi()),
        ("groups", groups::Api::openapi()),
        ("administration", admin::Api::openapi()),
        ("accounts", legacy::AccountApi::openapi()),
        ("machines", legacy::Api::openapi()),
        ("operation", status::Api::openapi()),
        ("documentation", Own::openapi()),
    ]
}

/// The document of this API.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Value)))]
pub async fn document() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| whole().to_string());
    const TYPE: HeaderValue = HeaderValue::from_static("application/json");
    const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");
    let fields = [(header::CONTENT_TYPE, TYPE), (header::CACHE_CONTROL, CACHE)];
    (fields, TEXT.as_str()).into_response()
}

#[cfg(test)]
mod tests;
