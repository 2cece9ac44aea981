//! Scope: a set of scope tokens (RFC 6749 §3.3), kept sorted and without duplicates in one string.
//! Order carries no meaning, so two scopes are equal when they hold the same tokens.
//! It refuses characters outside the RFC's set, more than 256 tokens and more than 4 KiB.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const MAX_TOKENS: usize = 256;
const MAX_LENGTH: usize = 4096;

/// Why a text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No token at all.
    #[error("the scope is empty")]
    Empty,
    /// A character outside `%x21 / %x23-5B / %x5D-7E`.
    #[error("the scope contains a character that a scope token may not contain")]
    Character,
    /// More than 256 tokens or 4 KiB.
    #[error("the scope is too long")]
    TooLong,
}

/// A set of scope tokens. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Reads a space separated list. Repeated spaces and repeated tokens collapse.
    ///
    /// # Errors
    /// [`ScopeError`]; a text without any token is [`ScopeError::Empty`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.len() > MAX_LENGTH {
            return Err(ScopeError::TooLong);
        }
        if !text.bytes().all(|byte| byte == b' ' || is_token_byte(byte)) {
            return Err(ScopeError::Character);
        }
        let tokens: Vec<&str> = text.split(' ').filter(|token| !token.is_empty()).collect();
        match tokens.len() {
            0 => Err(ScopeError::Empty),
            1..=MAX_TOKENS => Ok(Self::from_tokens(tokens)),
            _ => Err(ScopeError::TooLong),
        }
    }

    /// The scope that holds no token.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// Collects tokens that were checked before.
    pub(crate) fn from_tokens(mut tokens: Vec<&str>) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        Self(Arc::from(tokens.join(" ")))
    }

    /// True when no token is present.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens, in sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// True when exactly this token is present; implied tokens are the business of `ScopeHierarchy`.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|held| held == token)
    }

    /// True when every token of this scope is in the other.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        // Both sides are sorted, so one walk over each is enough.
        let mut others = other.iter();
        self.iter().all(|token| others.any(|held| held == token))
    }

    /// All tokens of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_tokens(self.iter().chain(other.iter()).collect())
    }

    /// The tokens present in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_tokens(self.iter().filter(|token| other.contains(token)).collect())
    }

    /// The space separated text, as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// True for one well-formed scope token.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_LENGTH && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl Default for Scope {
    fn default() -> Self {
        Self::empty()
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    /// Stored records and tokens may hold an empty scope, so the empty string is read as such.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match std::borrow::Cow::<'de, str>::deserialize(deserializer)?.as_ref() {
            "" => Ok(Self::empty()),
            text => Self::parse(text).map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn duplicates_spaces_and_order_do_not_matter() {
        assert_eq!(scope(" b  a b "), scope("a b"));
        assert_eq!(scope("b a").to_string(), "a b");
    }

    #[test]
    fn characters_outside_the_rfc_are_refused() {
        for text in ["a\"b", "a\\b", "a\tb", "a\0", "é", "a\u{a0}b", "\u{7f}"] {
            assert_eq!(Scope::parse(text), Err(ScopeError::Character), "{text:?}");
        }
    }

    #[test]
    fn a_text_without_a_token_is_refused() {
        assert_eq!(Scope::parse(""), Err(ScopeError::Empty));
        assert_eq!(Scope::parse("   "), Err(ScopeError::Empty));
    }

    #[test]
    fn more_than_256_tokens_or_4_kib_are_refused() {
        let tokens = |n: usize| {
            (0..n)
                .map(|i| format!("t{i}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(Scope::parse(&tokens(256)).is_ok());
        assert_eq!(Scope::parse(&tokens(257)), Err(ScopeError::TooLong));
        assert_eq!(Scope::parse(&"a".repeat(4097)), Err(ScopeError::TooLong));
    }

    #[test]
    fn a_prefix_of_a_token_is_not_that_token() {
        assert!(!scope("groups:read").contains("groups"));
        assert!(!scope("groups").is_subset_of(&scope("groups:read")));
        assert!(!scope("read").contains(""));
    }

    #[test]
    fn an_empty_scope_survives_serde_and_is_a_subset_of_all() {
        let read: Scope = serde_json::from_str("\"\"").unwrap();
        assert!(read.is_empty() && read.is_subset_of(&scope("a")));
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"\"");
        assert!(serde_json::from_str::<Scope>("[\"a\"]").is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Scope::parse(&text);
        }

        #[test]
        fn printing_and_parsing_round_trips(text in "[!#-\\[\\]-~ ]{0,200}") {
            if let Ok(parsed) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(parsed.as_str()).unwrap(), parsed);
            }
        }

        #[test]
        fn sets_behave_as_sets(a in "[a-e]( [a-e]){0,6}", b in "[a-e]( [a-e]){0,6}") {
            let (a, b) = (scope(&a), scope(&b));
            let union = a.union(&b);
            prop_assert!(a.is_subset_of(&union) && b.is_subset_of(&union));
            prop_assert!(a.intersection(&b).is_subset_of(&a));
            prop_assert_eq!(a.is_subset_of(&b), a.iter().all(|token| b.contains(token)));
        }
    }
}
