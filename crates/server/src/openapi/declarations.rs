//! Declarations as the admin API reads and answers them. They are read member by member; a test compares what is said
//! here with what is taken.

#![expect(dead_code, reason = "fields are read by the derive alone")]

use serde_json::Value;
use tokensmith_store::Timestamp;
use utoipa::ToSchema;

/// One declaration, by its kind.
#[derive(ToSchema)]
#[schema(no_recursion)]
#[serde(untagged)]
pub(crate) enum DeclarationDocument {
    Client(Box<ClientDocument>),
    Resource(ResourceDocument),
    Issuer(IssuerDocument),
    Role(RoleDocument),
    Scope(ScopeDocument),
    Permission(PermissionDocument),
}

/// One page of declarations, under the name of their kind, and `next`: what to send as `after` for the next page.
#[derive(ToSchema)]
pub(crate) struct DeclarationPage {
    clients: Option<Vec<ClientDocument>>,
    resources: Option<Vec<ResourceDocument>>,
    issuers: Option<Vec<IssuerDocument>>,
    roles: Option<Vec<RoleDocument>>,
    scopes: Option<Vec<ScopeDocument>>,
    permissions: Option<Vec<PermissionDocument>>,
    next: Option<String>,
}

/// A client. Members are those of RFC 7591 §2 and its extensions.
#[derive(ToSchema)]
pub(crate) struct ClientDocument {
    client_id: String,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    scope: Option<String>,
    resources: Option<Vec<String>>,
    redirect_uris: Option<Vec<String>>,
    role: Option<String>,
    access_token_seconds: Option<i64>,
    rotates_refresh_tokens: Option<bool>,
    is_active: Option<bool>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    token_endpoint_auth_signing_alg: Option<String>,
    dpop_bound_access_tokens: Option<bool>,
    dpop_require_nonce: Option<bool>,
    tls_client_auth_subject_dn: Option<String>,
    tls_client_auth_san_dns: Option<String>,
    tls_client_auth_san_uri: Option<String>,
    tls_client_auth_san_ip: Option<String>,
    tls_client_auth_san_email: Option<String>,
    tls_client_certificate_bound_access_tokens: Option<bool>,
    token_exchange: Option<Vec<Value>>,
    may_act: Option<String>,
    refresh_token_idle_seconds: Option<u32>,
    required_acr: Option<String>,
    /// Shown once, when a client is made.
    #[schema(read_only)]
    client_secret: Option<String>,
    #[schema(read_only)]
    secrets: Option<Vec<Value>>,
    #[schema(read_only)]
    created_at: Option<Timestamp>,
    #[schema(read_only)]
    updated_at: Option<Timestamp>,
}

/// A resource server.
#[derive(ToSchema)]
pub(crate) struct ResourceDocument {
    /// The absolute URI that is the `aud` of its tokens.
    identifier: String,
    name: Option<String>,
    scopes: Option<Vec<String>>,
    user_claims: Option<Vec<String>>,
    signing_algorithm: Option<String>,
    access_token_seconds: Option<i64>,
    #[schema(read_only)]
    created_at: Option<Timestamp>,
}

/// An issuer outside whose tokens stand for a client.
#[derive(ToSchema)]
pub(crate) struct IssuerDocument {
    issuer: String,
    name: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    assertion_seconds: Option<i64>,
    once: Option<bool>,
    rules: Option<Vec<Value>>,
    is_active: Option<bool>,
}

/// A set of permissions under a name.
#[derive(ToSchema)]
pub(crate) struct RoleDocument {
    name: String,
    description: Option<String>,
    permissions: Option<Vec<String>>,
    includes: Option<Vec<String>>,
}

/// A scope, and the scopes it implies.
#[derive(ToSchema)]
pub(crate) struct ScopeDocument {
    name: String,
    description: Option<String>,
    implies: Option<Vec<String>>,
}

/// Something that may be permitted.
#[derive(ToSchema)]
pub(crate) struct PermissionDocument {
    name: String,
    description: Option<String>,
}
