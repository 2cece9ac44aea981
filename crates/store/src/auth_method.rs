//! How clients authenticate, by the words of RFC 7591 §2 and its extensions.

use serde::{Deserialize, Serialize};

/// How a client proves who it is (RFC 7591 `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: it proves nothing.
    None,
    /// HTTP Basic with the encoding of RFC 6749 §2.3.1.
    ClientSecretBasic,
    /// Parameters in the form body.
    ClientSecretPost,
    /// Either of the two above: for clients of the older services, which used both.
    ClientSecretBasicOrPost,
    /// An assertion signed with a key of its own (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// An assertion under its secret (RFC 7523 §2.2).
    ClientSecretJwt,
    /// A certificate from an authority (RFC 8705 §2.1).
    TlsClientAuth,
    /// A certificate it registered itself (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
}

impl AuthMethod {
    /// Every method.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::ClientSecretBasicOrPost,
        Self::PrivateKeyJwt,
        Self::ClientSecretJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTlsClientAuth,
    ];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretBasicOrPost => "client_secret_basic_or_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }

    /// Whether a client of this method shows a certificate.
    pub fn is_by_certificate(self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }

    /// Whether a client of this method has secrets.
    pub fn has_secret(self) -> bool {
        match self {
            Self::None
            | Self::PrivateKeyJwt
            | Self::TlsClientAuth
            | Self::SelfSignedTlsClientAuth => false,
            Self::ClientSecretBasic
            | Self::ClientSecretPost
            | Self::ClientSecretBasicOrPost
            | Self::ClientSecretJwt => true,
        }
    }
}

impl std::str::FromStr for AuthMethod {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|method| method.as_str() == word)
            .ok_or_else(|| format!("`{word}` is not a client authentication method"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_one_word_everywhere() {
        for method in AuthMethod::ALL {
            assert_eq!(method.as_str().parse(), Ok(method));
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
        }
    }
}
