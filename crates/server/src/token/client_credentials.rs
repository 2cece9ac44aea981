//! The client credentials grant (RFC 6749 §4.4): a service asks for itself. It never gets a refresh token.

use tokensmith_oauth2::ErrorCode;
use tokensmith_store::AuthMethod;

use super::{Call, Grant, Subject};
use crate::error::OAuthError;

pub(super) fn grant(call: Call<'_>) -> Result<Grant, OAuthError> {
    if call.client.client.auth_method == AuthMethod::None {
        let sentence = "Only a client that authenticates may use this grant.";
        return Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "public_client",
            sentence,
        ));
    }
    Ok(Grant::new(
        "client_credentials",
        Subject::Client,
        call.client.allowed_scope.clone(),
    ))
}
