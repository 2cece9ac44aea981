//! The body of a sign-in. Members that are not known are ignored, because older clients send some; a known one of the
//! wrong type is refused, and what is too long is refused before anything is hashed.

use serde::Deserialize;
use tokensmith_oauth2::Secret;
use tokensmith_store::OrganizationId;

use crate::error::ApiError;

/// RFC 5321 §4.5.3.1.3, less the angle brackets.
const LONGEST_LOGIN: usize = 254;
const LONGEST_PASSWORD_BYTES: usize = 1024;

/// The body of a sign-in by password.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct LoginRequest {
    /// An e-mail address or a username.
    pub(crate) email: String,
    /// Taken exactly as it is: nothing is trimmed, folded or cut.
    #[schema(value_type = String)]
    pub(crate) password: Secret,
    /// A code of the second factor, where there is one.
    #[schema(value_type = Option<String>)]
    pub(crate) code: Option<Secret>,
    /// What a remembered device holds, in place of that.
    #[schema(value_type = Option<String>)]
    pub(crate) device_token: Option<Secret>,
    /// The organization to sign in to.
    pub(crate) org_id: Option<String>,
}

impl LoginRequest {
    /// A sign-in that names no organization.
    pub fn new(login: String, password: Secret, code: Option<Secret>) -> Self {
        Self {
            email: login,
            password,
            code,
            device_token: None,
            org_id: None,
        }
    }

    /// The organization that was asked for, if the rest is acceptable.
    pub(crate) fn check(&self) -> Result<Option<OrganizationId>, ApiError> {
        if self.email.is_empty() || self.email.len() > LONGEST_LOGIN {
            let sentence = "The e-mail address must have 1 to 254 bytes.";
            return Err(ApiError::unprocessable("email_length", sentence));
        }
        if self.email.contains(char::is_control) {
            let sentence = "The e-mail address contains a control character.";
            return Err(ApiError::unprocessable("email_malformed", sentence));
        }
        let length = self.password.expose().len();
        if length == 0 || length > LONGEST_PASSWORD_BYTES {
            let sentence = "The password must have 1 to 1024 bytes.";
            return Err(ApiError::unprocessable("password_length", sentence));
        }
        let malformed = |_| ApiError::unprocessable("org_id_malformed", "org_id must be a UUID.");
        let org = self.org_id.as_deref().map(str::parse);
        org.transpose().map_err(malformed)
    }
}
