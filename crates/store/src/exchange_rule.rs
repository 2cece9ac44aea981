//! What a client may do at token exchange (RFC 8693), declared in its metadata. Without a rule it may do nothing.

use serde::{Deserialize, Serialize};
use tokensmith_oauth2::{ClientId, Scope};

/// Tokens that a client may exchange, and what for. Every list is exact: there is no wildcard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRule {
    /// The subject token was issued to one of these.
    pub subject_clients: Vec<ClientId>,
    /// The subject token is for one of these.
    pub subject_audiences: Vec<String>,
    /// The new token may be for these, the first being the default. Empty: only for what the subject token is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The most it may hold, and never more than the subject token does.
    pub scope: Scope,
    /// Whether the new token says who acts.
    #[serde(default)]
    pub mode: ExchangeMode,
}

/// Whether a token got by exchange says who acts for its subject (RFC 8693 §1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeMode {
    /// It says so in `act`.
    #[default]
    Delegation,
    /// It does not: to a resource server it is as if the subject itself had asked. Only about users.
    Impersonation,
}

impl ExchangeMode {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delegation => "delegation",
            Self::Impersonation => "impersonation",
        }
    }
}

impl std::str::FromStr for ExchangeMode {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Delegation, Self::Impersonation]
            .into_iter()
            .find(|mode| mode.as_str() == word)
            .ok_or_else(|| format!("`{word}` is neither delegation nor impersonation"))
    }
}
