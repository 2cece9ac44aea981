//! Forms of the OAuth endpoints. They are read member by member; here is what they may hold.

#![expect(dead_code, reason = "fields are read by the derive alone")]

use utoipa::ToSchema;

/// A call of the token endpoint (RFC 6749 §4 and §6, RFC 8693 §2.1, RFC 7523 §2.1).
#[derive(ToSchema)]
pub(crate) struct TokenRequest {
    /// `client_credentials`, `refresh_token`, or the URN of token exchange or of JWT bearer assertions.
    grant_type: String,
    scope: Option<String>,
    /// For which resource the token is (RFC 8707).
    resource: Option<String>,
    refresh_token: Option<String>,
    subject_token: Option<String>,
    subject_token_type: Option<String>,
    actor_token: Option<String>,
    actor_token_type: Option<String>,
    requested_token_type: Option<String>,
    audience: Option<String>,
    assertion: Option<String>,
    /// With `client_secret`, where a client authenticates in the form and not by HTTP Basic.
    client_id: Option<String>,
    client_secret: Option<String>,
    client_assertion: Option<String>,
    client_assertion_type: Option<String>,
}

/// What an issued token comes with (RFC 6749 §5.1).
#[derive(ToSchema)]
pub(crate) struct TokenForm {
    access_token: String,
    /// `Bearer`, `DPoP` or `N_A`.
    token_type: String,
    /// In seconds.
    expires_in: u64,
    scope: String,
    refresh_token: Option<String>,
    issued_token_type: Option<String>,
}

/// The token that introspection or revocation is about.
#[derive(ToSchema)]
pub(crate) struct IntrospectionForm {
    token: String,
    /// `access_token` or `refresh_token`; changes no answer.
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// A client's sign-in in the way of the older machine-to-machine service.
#[derive(ToSchema)]
pub(crate) struct MachineSignIn {
    /// The client id.
    username: String,
    /// The client secret.
    password: String,
    scope: Option<String>,
}
