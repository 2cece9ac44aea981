//! Grant types by their registered names (RFC 6749 §4, RFC 7523, RFC 8628, RFC 8693).
//! The implicit and the password grant are not words of this crate (RFC 9700 §2.1.2, §2.4).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A grant the token endpoint may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GrantType {
    /// RFC 6749 §4.1.
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// RFC 6749 §4.4.
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// RFC 6749 §6.
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// RFC 8628.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 8693.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
    /// RFC 7523.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
}

/// The `grant_type` is not one of [`GrantType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the grant type is not supported")]
pub struct UnsupportedGrantType;

impl GrantType {
    /// Every grant type.
    pub const ALL: [Self; 6] = [
        Self::AuthorizationCode,
        Self::ClientCredentials,
        Self::RefreshToken,
        Self::DeviceCode,
        Self::TokenExchange,
        Self::JwtBearer,
    ];

    /// The registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        }
    }
}

impl FromStr for GrantType {
    type Err = UnsupportedGrantType;

    fn from_str(text: &str) -> Result<Self, UnsupportedGrantType> {
        Self::ALL
            .into_iter()
            .find(|grant| grant.as_str() == text)
            .ok_or(UnsupportedGrantType)
    }
}

impl fmt::Display for GrantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_by_from_str_and_serde() {
        for grant in GrantType::ALL {
            assert_eq!(grant.as_str().parse(), Ok(grant));
            assert_eq!(serde_json::to_value(grant).unwrap(), grant.as_str());
        }
    }

    #[test]
    fn password_implicit_and_other_spellings_are_unsupported() {
        for text in [
            "password",
            "implicit",
            "",
            "CLIENT_CREDENTIALS",
            "client_credentials ",
        ] {
            assert_eq!(
                text.parse::<GrantType>(),
                Err(UnsupportedGrantType),
                "{text}"
            );
        }
    }
}
