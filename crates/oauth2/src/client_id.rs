//! Client identifiers (RFC 6749 §2.2, characters of appendix A.1), compared by code points.
//! They may not look like a UUID in any spelling: a `sub` that is a UUID is a user (RFC 9700 §4.15.1).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const MAX_LENGTH: usize = 255;

/// Why a text is not a client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// Nothing, or more than 255 characters.
    #[error("the client id must have 1 to 255 characters")]
    Length,
    /// A character outside `%x20-7E`, or a space at either end.
    #[error("the client id contains a character that is not allowed")]
    Character,
    /// It could be taken for a user.
    #[error("the client id may not look like a UUID")]
    LooksLikeUuid,
}

/// A client id: 1 to 255 printable ASCII characters, never a UUID.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(Box<str>);

impl ClientId {
    /// Checks a text; nothing is trimmed, folded or normalised.
    ///
    /// # Errors
    /// [`ClientIdError`].
    pub fn parse(text: &str) -> Result<Self, ClientIdError> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(ClientIdError::Length);
        }
        if !text.bytes().all(|byte| matches!(byte, 0x20..=0x7E)) || text.trim() != text {
            return Err(ClientIdError::Character);
        }
        if looks_like_uuid(text) {
            return Err(ClientIdError::LooksLikeUuid);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// True for 32 hexadecimal digits in any arrangement of hyphens, braces and the URN prefix.
fn looks_like_uuid(text: &str) -> bool {
    let text = match text.get(..9) {
        Some(prefix) if prefix.eq_ignore_ascii_case("urn:uuid:") => &text[9..],
        _ => text,
    };
    let is_punctuation = |byte: &u8| matches!(byte, b'-' | b'{' | b'}' | b'(' | b')' | b' ');
    let mut digits = text.bytes().filter(|byte| !is_punctuation(byte));
    digits
        .by_ref()
        .take(32)
        .filter(u8::is_ascii_hexdigit)
        .count()
        == 32
        && digits.next().is_none()
}

impl FromStr for ClientId {
    type Err = ClientIdError;

    fn from_str(text: &str) -> Result<Self, ClientIdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ClientId {
    type Error = ClientIdError;

    fn try_from(text: String) -> Result<Self, ClientIdError> {
        Self::parse(&text)
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0.into()
    }
}

impl AsRef<str> for ClientId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn row_113_other_code_points_are_another_client_or_none() {
        assert_ne!(ClientId::parse("c1"), ClientId::parse("C1"));
        for text in [
            "C1 ",
            " C1",
            "\u{421}1",
            "\u{ff23}1",
            "e\u{301}",
            "a\0",
            "a\u{7f}",
        ] {
            assert_eq!(
                ClientId::parse(text),
                Err(ClientIdError::Character),
                "{text:?}"
            );
        }
    }

    #[test]
    fn row_262_a_uuid_in_any_spelling_is_refused() {
        let id = Uuid::from_u128(0x0193_5cd5_1f7a_7a11_8b0a_0123_4567_89ab);
        let spellings = [
            id.hyphenated().to_string(),
            id.simple().to_string(),
            id.urn().to_string(),
            id.braced().to_string(),
            id.hyphenated().to_string().to_uppercase(),
            format!("{{{}}}", id.simple()),
            format!("URN:UUID:{}", id.simple()),
        ];
        for text in spellings {
            assert_eq!(
                ClientId::parse(&text),
                Err(ClientIdError::LooksLikeUuid),
                "{text}"
            );
        }
    }

    #[test]
    fn ordinary_ids_are_accepted() {
        for text in [
            "chat-api-service",
            "a:b",
            "test_client",
            "a b",
            &"f".repeat(31),
            &"f".repeat(33),
        ] {
            assert!(ClientId::parse(text).is_ok(), "{text}");
        }
        assert_eq!(ClientId::parse(""), Err(ClientIdError::Length));
        assert_eq!(
            ClientId::parse(&"x".repeat(256)),
            Err(ClientIdError::Length)
        );
    }

    proptest! {
        #[test]
        fn what_the_uuid_crate_reads_is_never_a_client_id(text in "(urn:uuid:)?\\{?[0-9a-fA-F-]{32,36}\\}?") {
            if Uuid::parse_str(&text).is_ok() {
                prop_assert!(ClientId::parse(&text).is_err());
            }
        }

        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in any::<String>()) {
            if let Ok(id) = ClientId::parse(&text) {
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
