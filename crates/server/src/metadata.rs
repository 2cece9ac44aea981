//! What the server says about itself (RFC 8414, OpenID Connect Discovery 1.0): only what works, every URL made from
//! the configured issuer and never from a request header.

use axum::{Json, extract::State, response::IntoResponse};
use http::{HeaderValue, header};
use tokensmith_jose::{Algorithm, dpop::ALGORITHMS};
use tokensmith_oauth2::{AuthorizationServerMetadata, MtlsEndpointAliases};

use tokensmith_store::AuthMethod;

use crate::{app::App, client_auth, config::Issuer, token::GRANT_TYPES};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(metadata))]
pub(crate) struct Api;

/// How long a reader may keep the documents.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// `GET /.well-known/oauth-authorization-server`: what this server says about itself. The OpenID path answers the same.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", responses((status = 200, body = serde_json::Value)))]
pub async fn metadata(State(app): State<App>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE)], Json(document(&app)))
}

fn document(app: &App) -> AuthorizationServerMetadata {
    let issuer = &app.config().issuer;
    let methods = words(
        client_auth::methods(app)
            .into_iter()
            .map(AuthMethod::as_str),
    );
    let or_none = [methods.clone(), words(["none"])].concat();
    let algorithms = words(
        client_auth::signing_algorithms(app)
            .into_iter()
            .map(Algorithm::as_str),
    );
    AuthorizationServerMetadata {
        issuer: issuer.as_str().to_owned(),
        token_endpoint: Some(issuer.endpoint("/oauth/token")),
        jwks_uri: Some(issuer.endpoint("/.well-known/jwks.json")),
        scopes_supported: app.registry().declared().scope_names.clone(),
        grant_types_supported: GRANT_TYPES
            .iter()
            .map(|grant| grant.as_str().to_owned())
            .collect(),
        token_endpoint_auth_methods_supported: or_none.clone(),
        token_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
        introspection_endpoint: Some(issuer.endpoint("/oauth/introspect")),
        introspection_endpoint_auth_methods_supported: methods,
        introspection_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
        introspection_signing_alg_values_supported: words([app
            .config()
            .tokens
            .signing_algorithm
            .as_str()]),
        revocation_endpoint: Some(issuer.endpoint("/oauth/revoke")),
        revocation_endpoint_auth_methods_supported: or_none,
        revocation_endpoint_auth_signing_alg_values_supported: algorithms,
        dpop_signing_alg_values_supported: words(ALGORITHMS.map(Algorithm::as_str)),
        subject_types_supported: words(["public"]),
        request_uri_parameter_supported: Some(false),
        tls_client_certificate_bound_access_tokens: app
            .config()
            .takes_client_certificates()
            .then_some(true),
        mtls_endpoint_aliases: app.config().mtls.base_url.as_ref().map(aliases),
        ..AuthorizationServerMetadata::default()
    }
}

/// Where clients with certificates go instead (RFC 8705 §5): the endpoints that clients call themselves.
fn aliases(base: &Issuer) -> MtlsEndpointAliases {
    MtlsEndpointAliases {
        token_endpoint: Some(base.endpoint("/oauth/token")),
        introspection_endpoint: Some(base.endpoint("/oauth/introspect")),
        revocation_endpoint: Some(base.endpoint("/oauth/revoke")),
    }
}

fn words(words: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}
