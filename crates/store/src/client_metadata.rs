//! What a client registered beyond the columns of its record: one JSON text, members named as in RFC 7591 §2 and its
//! extensions. An unknown member is refused, so that a newer program's declaration is never half understood.

use serde::{Deserialize, Serialize};

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
}
