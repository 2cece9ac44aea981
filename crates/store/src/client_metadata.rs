//! What a client registered beyond the columns of its record: one JSON text, members named as in RFC 7591 §2 and its
//! extensions. An unknown member is refused, so that a newer program's declaration is never half understood.

use serde::{Deserialize, Serialize};
use tokensmith_oauth2::ClientId;

use crate::{AssuranceLevel, ExchangeRule};

/// Further metadata of a client. A member that is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientMetadata {
    /// Public keys by value: a JWK set (RFC 7517 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where its JWK set is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The one JWS `alg` of its assertions; absent: that of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// Whether it gets no access token without a DPoP proof (RFC 9449 §5.2).
    pub dpop_bound_access_tokens: bool,
    /// Whether its DPoP proofs must repeat a nonce of the server (§8), also where the server asks nobody else.
    pub dpop_require_nonce: bool,
    /// For `tls_client_auth` (RFC 8705 §2.1.2), one of five: the subject of its certificate as RFC 4514 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    /// A dNSName of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    /// A uniformResourceIdentifier of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    /// An iPAddress of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<String>,
    /// An rfc822Name of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
    /// Its tokens are bound to the certificate it shows, and it gets none without (RFC 8705 §3.4).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// What it may exchange (RFC 8693); empty: nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_exchange: Vec<ExchangeRule>,
    /// How long its refresh tokens may lie unused, in seconds; absent: the server's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_idle_seconds: Option<u32>,
    /// The only client that may act for the subjects of its tokens; they say so in `may_act` (RFC 8693 §4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_act: Option<ClientId>,
    /// How far the sign-in of a user must reach for whom it gets tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_acr: Option<AssuranceLevel>,
}
