//! Ids of records that are UUIDs. Kept as their canonical text (RFC 9562 §4: lower case, hyphens), so that one
//! record has one spelling; any other spelling is not an id.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The text is not a UUID in its canonical spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in its canonical spelling")]
pub struct IdError;

fn canonical(text: &str) -> Result<Box<str>, IdError> {
    let uuid = Uuid::try_parse(text).map_err(|_| IdError)?;
    let spelled = uuid.hyphenated().to_string();
    if spelled == text {
        Ok(spelled.into())
    } else {
        Err(IdError)
    }
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The canonical text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid.hyphenated().to_string().into())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                canonical(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                crate::schema_of::text("uuid").into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl<'a> From<&'a $name> for crate::Value<'a> {
            fn from(id: &'a $name) -> Self {
                Self::Text(&id.0)
            }
        }
    )*};
}

uuid_ids! {
    /// A user's id: the `sub` of the tokens about them.
    UserId,
    /// An organization's id.
    OrganizationId,
    /// A group's id.
    GroupId,
    /// A session's id: the `sid` of the tokens made in it.
    SessionId,
    /// A passkey's id.
    PasskeyId,
    /// A refresh token family's id: the first part of its tokens.
    FamilyId,
    /// An invitation's id.
    InvitationId,
    /// A mail's id: the event it tells of.
    MailId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let text = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
        assert_eq!(text.parse::<UserId>().expect("canonical").as_str(), text);
        for other in [
            &text.to_uppercase(),
            &text.replace('-', ""),
            &format!("{{{text}}}"),
            &format!("urn:uuid:{text}"),
            &format!(" {text}"),
            "",
        ] {
            assert_eq!(other.parse::<UserId>(), Err(IdError), "{other}");
        }
    }
}
