//! Metadata documents: authorization server (RFC 8414, OpenID Connect Discovery 1.0 §3) and protected
//! resource (RFC 9728 §2). A member that is absent is not written; a list says only what works.

use serde::{Deserialize, Serialize};
use url::Url;

/// The suffix of RFC 8414 §3.
pub const OAUTH_AUTHORIZATION_SERVER: &str = "oauth-authorization-server";
/// The suffix of OpenID Connect Discovery 1.0 §4.
pub const OPENID_CONFIGURATION: &str = "openid-configuration";
/// The suffix of RFC 9728 §3.
pub const OAUTH_PROTECTED_RESOURCE: &str = "oauth-protected-resource";

/// What an authorization server says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthorizationServerMetadata {
    /// The issuer identifier; a reader compares it by code points (RFC 8414 §3.3).
    pub issuer: String,
    /// See RFC 8414 §2, as all members without a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Where tokens are granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Where the public keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// RFC 7591.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// RFC 7662.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// RFC 7009.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// RFC 9126.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// RFC 8628.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
    /// OpenID Connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<String>,
    /// OpenID Connect RP-Initiated Logout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<String>,
    /// Scope tokens a client may ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// Required by RFC 8414; empty while there is no authorization endpoint.
    pub response_types_supported: Vec<String>,
    /// How an authorization response may come.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_modes_supported: Vec<String>,
    /// Grants the token endpoint takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grant_types_supported: Vec<String>,
    /// OpenID Connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_types_supported: Vec<String>,
    /// OpenID Connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// OpenID Connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims_supported: Vec<String>,
    /// How a client may authenticate at the token endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// For `private_key_jwt` and `client_secret_jwt`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// How a client may authenticate at the introspection endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// The same at the introspection endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// Signatures of introspection answers (RFC 9701 §7).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspection_signing_alg_values_supported: Vec<String>,
    /// How a client may authenticate at the revocation endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// The same at the revocation endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// RFC 7636.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub code_challenge_methods_supported: Vec<String>,
    /// RFC 9207.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_response_iss_parameter_supported: Option<bool>,
    /// RFC 9126.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// OpenID Connect; stated as `false`, because its default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri_parameter_supported: Option<bool>,
    /// RFC 9449.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// RFC 8705 §3.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_certificate_bound_access_tokens: Option<bool>,
    /// Where clients that show a certificate call instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls_endpoint_aliases: Option<MtlsEndpointAliases>,
    /// Documentation for developers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_documentation: Option<String>,
}

/// Endpoints for clients that show a certificate (RFC 8705 §5); one that is absent has no alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MtlsEndpointAliases {
    /// Where tokens are granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// RFC 7662.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// RFC 7009.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
}

/// What a protected resource says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProtectedResourceMetadata {
    /// The resource identifier (RFC 8707), also the audience of its tokens.
    pub resource: String,
    /// Issuers whose tokens it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// Keys of the resource itself, not those of the authorization server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Scope tokens that are of use here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// How a token may be sent: `header` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bearer_methods_supported: Vec<String>,
    /// Signatures of proofs (RFC 9449), where it takes bound tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// RFC 8705 §3.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_certificate_bound_access_tokens: Option<bool>,
    /// Where clients that show a certificate call instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls_endpoint_aliases: Option<MtlsEndpointAliases>,
    /// Documentation for developers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_documentation: Option<String>,
}

/// The address of a metadata document: the suffix goes between host and path (RFC 8414 §3.1, RFC 9728 §3.1).
/// `None` when the identifier is not an http or https URL, or has a fragment.
#[must_use]
pub fn well_known_url(identifier: &str, suffix: &str) -> Option<String> {
    let url = Url::parse(identifier)
        .ok()
        .filter(|url| url.has_host() && url.fragment().is_none())?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    Some(format!(
        "{}/.well-known/{suffix}{path}{query}",
        url.origin().ascii_serialization()
    ))
}

/// Where OpenID Connect Discovery 1.0 §4.1 puts its document instead: after the path.
#[must_use]
pub fn openid_configuration_url(issuer: &str) -> String {
    format!(
        "{}/.well-known/{OPENID_CONFIGURATION}",
        issuer.trim_end_matches('/')
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_suffix_goes_between_host_and_path() {
        let url = |issuer| well_known_url(issuer, OAUTH_AUTHORIZATION_SERVER).unwrap();
        assert_eq!(
            url("https://a.test"),
            "https://a.test/.well-known/oauth-authorization-server"
        );
        assert_eq!(
            url("http://127.0.0.1:8000/"),
            "http://127.0.0.1:8000/.well-known/oauth-authorization-server"
        );
        assert_eq!(
            url("https://a.test/t1"),
            "https://a.test/.well-known/oauth-authorization-server/t1"
        );
        assert_eq!(
            openid_configuration_url("https://a.test/t1"),
            "https://a.test/t1/.well-known/openid-configuration"
        );
    }

    #[test]
    fn an_identifier_that_is_no_web_address_has_no_document() {
        for identifier in ["", "urn:a:b", "a.test", "https://a.test/#x", "file:///x"] {
            assert_eq!(
                well_known_url(identifier, OAUTH_PROTECTED_RESOURCE),
                None,
                "{identifier}"
            );
        }
    }

    #[test]
    fn absent_members_are_not_written_and_unknown_ones_are_ignored() {
        let document = ProtectedResourceMetadata {
            resource: "https://a.test".into(),
            ..Default::default()
        };
        assert_eq!(
            serde_json::to_value(&document).unwrap(),
            json!({"resource": "https://a.test"})
        );
        let read: AuthorizationServerMetadata = serde_json::from_value(
            json!({"issuer": "https://a.test", "other": 1, "token_endpoint": "https://a.test/t"}),
        )
        .unwrap();
        assert_eq!(read.token_endpoint.as_deref(), Some("https://a.test/t"));
    }
}
