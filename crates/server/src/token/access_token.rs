//! Access tokens: JWTs by RFC 9068, with the claims the older services read.

use serde::Serialize;
use tokensmith_oauth2::{Actor, ClientId, Confirmation, Lineage, Scope};

/// The claims of an access token.
#[derive(Debug, Serialize)]
pub struct AccessTokenClaims<'a> {
    /// The issuer identifier.
    pub iss: &'a str,
    /// The user's id, or the client's own.
    pub sub: &'a str,
    /// The client it was issued to.
    pub client_id: &'a ClientId,
    /// Space-separated (RFC 8693 §4.2).
    pub scope: &'a Scope,
    /// Always `access`: what the older services check.
    pub r#type: &'static str,
    /// The resource it is for.
    pub aud: [&'a str; 1],
    /// Issued at, seconds since the Unix epoch.
    pub iat: i64,
    /// Expires at, seconds since the Unix epoch.
    pub exp: i64,
    /// Names the token in audit and revocation.
    pub jti: &'a str,
    /// The user's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    /// The organization the user acts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<&'a str>,
    /// The user's role in that organization and roles over the whole server; absent for a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<&'a str>>,
    /// What the user may do, for resources that ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<&'a str>>,
    /// The scope as a list: in the tokens of a client's own family, for the older machine-to-machine services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<&'a str>>,
    /// The client's role, in the same tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'a str>,
    /// The session it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<&'a str>,
    /// How far the user's sign-in reaches: `aal1` or `aal2` (RFC 9068 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// How the user signed in (RFC 8176).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amr: Option<&'a [String]>,
    /// When, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The refresh token family it came with: what ends the family ends the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<&'a str>,
    /// The key whose holder alone may use it (RFC 7800 §3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// The client that may act for the subject (RFC 8693 §4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_act: Option<MayAct<'a>>,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<&'a Actor>,
    /// The tokens it was made of: what ends one of them ends this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derived_from: Option<&'a Lineage>,
}

/// The claim `may_act`.
#[derive(Debug, Serialize)]
pub struct MayAct<'a> {
    /// The one client.
    pub sub: &'a ClientId,
}

/// A signed access token and what names it.
#[derive(Debug)]
pub struct AccessToken {
    /// The token in compact form.
    pub token: tokensmith_oauth2::Secret,
    /// Its life in whole seconds.
    pub expires_in: u64,
}
