//! The answers of the token endpoint: success (RFC 6749 §5.1, RFC 8693 §2.2.1) and error (§5.2).
//! An error description holds only the characters the RFC allows; anything else is replaced.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, Scope, Secret};

/// A successful token response. `Debug` shows no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenResponse {
    /// The access token.
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub access_token: Secret,
    /// `Bearer`, or `N_A` for an exchange that yields no access token.
    pub token_type: Cow<'static, str>,
    /// Lifetime of the access token in seconds.
    pub expires_in: u64,
    /// The granted scope; always stated, also when it equals the requested one.
    pub scope: Scope,
    /// The refresh token, when the grant yields one.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed_option"
    )]
    pub refresh_token: Option<Secret>,
    /// The ID token (OpenID Connect Core §3.1.3.3).
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed_option"
    )]
    pub id_token: Option<Secret>,
    /// What kind of token an exchange yielded (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<Cow<'static, str>>,
}

impl TokenResponse {
    /// A bearer access token and nothing else.
    pub fn bearer(access_token: impl Into<Secret>, expires_in: u64, scope: Scope) -> Self {
        Self {
            access_token: access_token.into(),
            token_type: Cow::Borrowed("Bearer"),
            expires_in,
            scope,
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        }
    }
}

#[expect(
    clippy::ref_option,
    reason = "serialize_with passes a reference to the field"
)]
fn exposed_option<S: serde::Serializer>(
    secret: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => secret.serialize_exposed(serializer),
        None => serializer.serialize_none(),
    }
}

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// The error code.
    pub error: Cow<'static, str>,
    /// One public sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<Cow<'static, str>>,
    /// A page about the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_uri: Option<Cow<'static, str>>,
}

impl ErrorResponse {
    /// A code with a public sentence.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error: Cow::Borrowed(code.as_str()),
            error_description: Some(describable(description.into())),
            error_uri: None,
        }
    }
}

/// Keeps a description within `%x20-21 / %x23-5B / %x5D-7E` (RFC 6749 §5.2).
pub(crate) fn describable(text: Cow<'static, str>) -> Cow<'static, str> {
    let is_allowed =
        |character: char| matches!(character, ' '..='~') && !matches!(character, '"' | '\\');
    if text.chars().all(is_allowed) {
        return text;
    }
    let replaced = text.chars().map(|character| match character {
        '"' => '\'',
        character if is_allowed(character) => character,
        _ => '?',
    });
    Cow::Owned(replaced.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bearer_response_has_the_members_of_the_rfc_and_no_null() {
        let response = TokenResponse::bearer("tok", 900, Scope::parse("b a").unwrap());
        let expected = json!({"access_token": "tok", "token_type": "Bearer", "expires_in": 900, "scope": "a b"});
        assert_eq!(serde_json::to_value(&response).unwrap(), expected);
        assert!(!format!("{response:?}").contains("tok\""));
    }

    #[test]
    fn a_description_never_holds_quotes_controls_or_other_alphabets() {
        let response = ErrorResponse::new(ErrorCode::InvalidScope, "the \"é\r\n\\ scope");
        assert_eq!(response.error_description.unwrap(), "the '???? scope");
        assert_eq!(response.error, "invalid_scope");
    }
}
