//! Error codes of OAuth and OpenID Connect and the HTTP status each one answers with, in one table.
//! A code is a public word: it never carries a private detail.

use std::{fmt, str::FromStr};

/// Writes the enum, its names and its statuses from the one table below.
macro_rules! error_codes {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal, $status:literal;)+) => {
        /// An error code; more than twelve because it is the registry, not the errors of one operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])+ $variant,)+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The registered name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The status of a response that carries this code in its body or challenge.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }
        }
    };
}

error_codes! {
    /// RFC 6749 §5.2.
    InvalidRequest = "invalid_request", 400;
    /// RFC 6749 §5.2.
    InvalidClient = "invalid_client", 401;
    /// RFC 6749 §5.2.
    InvalidGrant = "invalid_grant", 400;
    /// RFC 6749 §5.2.
    UnauthorizedClient = "unauthorized_client", 400;
    /// RFC 6749 §5.2.
    UnsupportedGrantType = "unsupported_grant_type", 400;
    /// RFC 6749 §5.2.
    InvalidScope = "invalid_scope", 400;
    /// RFC 6749 §4.1.2.1; as a token response RFC 8628 §3.5.
    AccessDenied = "access_denied", 400;
    /// RFC 6749 §4.1.2.1.
    UnsupportedResponseType = "unsupported_response_type", 400;
    /// RFC 6749 §4.1.2.1.
    ServerError = "server_error", 500;
    /// RFC 6749 §4.1.2.1.
    TemporarilyUnavailable = "temporarily_unavailable", 503;
    /// RFC 6750 §3.1.
    InvalidToken = "invalid_token", 401;
    /// RFC 6750 §3.1.
    InsufficientScope = "insufficient_scope", 403;
    /// RFC 9470 §3.
    InsufficientUserAuthentication = "insufficient_user_authentication", 401;
    /// RFC 7009 §2.2.1.
    UnsupportedTokenType = "unsupported_token_type", 400;
    /// RFC 7591 §3.2.2.
    InvalidRedirectUri = "invalid_redirect_uri", 400;
    /// RFC 7591 §3.2.2.
    InvalidClientMetadata = "invalid_client_metadata", 400;
    /// RFC 8628 §3.5.
    AuthorizationPending = "authorization_pending", 400;
    /// RFC 8628 §3.5.
    SlowDown = "slow_down", 400;
    /// RFC 8628 §3.5.
    ExpiredToken = "expired_token", 400;
    /// RFC 8707 §2.
    InvalidTarget = "invalid_target", 400;
    /// RFC 9101 §6.
    InvalidRequestUri = "invalid_request_uri", 400;
    /// RFC 9101 §6.
    InvalidRequestObject = "invalid_request_object", 400;
    /// OpenID Connect Core §3.1.2.6.
    RequestNotSupported = "request_not_supported", 400;
    /// OpenID Connect Core §3.1.2.6.
    RequestUriNotSupported = "request_uri_not_supported", 400;
    /// OpenID Connect Core §3.1.2.6.
    LoginRequired = "login_required", 400;
    /// OpenID Connect Core §3.1.2.6.
    ConsentRequired = "consent_required", 400;
    /// OpenID Connect Core §3.1.2.6.
    InteractionRequired = "interaction_required", 400;
    /// OpenID Connect Core §3.1.2.6.
    AccountSelectionRequired = "account_selection_required", 400;
    /// RFC 9449 §5.
    InvalidDpopProof = "invalid_dpop_proof", 400;
    /// RFC 9449 §8.
    UseDpopNonce = "use_dpop_nonce", 400;
}

/// The text is not one of [`ErrorCode::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the error code is not known")]
pub struct UnknownErrorCode;

impl FromStr for ErrorCode {
    type Err = UnknownErrorCode;

    fn from_str(text: &str) -> Result<Self, UnknownErrorCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownErrorCode)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_and_answers_with_an_error_status() {
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!((400..600).contains(&code.http_status()));
        }
    }

    #[test]
    fn the_statuses_of_the_bearer_and_token_endpoint_are_those_of_the_rfcs() {
        assert_eq!(ErrorCode::InvalidClient.http_status(), 401);
        assert_eq!(ErrorCode::InvalidToken.http_status(), 401);
        assert_eq!(ErrorCode::InsufficientScope.http_status(), 403);
        assert_eq!(ErrorCode::InvalidGrant.http_status(), 400);
        assert!("nonsense".parse::<ErrorCode>().is_err());
    }
}
