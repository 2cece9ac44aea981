//! What can go wrong. Every text here is public; private details go to the log, where the flight ends.

use std::time::Duration;

use tokensmith_oauth2::ErrorCode;
use tokio::time::Instant;

/// Why there is no token, and when it is worth asking again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no access token: {kind}")]
pub struct TokenError {
    kind: TokenErrorKind,
    retry_at: Instant,
}

/// The reason in a [`TokenError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenErrorKind {
    /// No connection, no answer in time, or the answer broke off.
    #[error("the authorization server cannot be reached")]
    Unreachable,
    /// 429, 5xx or another status that says nothing about the client.
    #[error("the token endpoint answered {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// An error response (RFC 6749 §5.2). Usually a wrong setting: waiting does not help.
    #[error("the authorization server refused with {error}")]
    Refused {
        /// The error code.
        error: String,
    },
    /// A successful answer that holds no usable token.
    #[error("the token response is not usable: {0}")]
    Answer(&'static str),
    /// A metadata document that is not usable (RFC 8414 §3.3).
    #[error("the authorization server metadata is not usable: {0}")]
    Metadata(&'static str),
    /// Several fresh tokens in a row were reported as refused, so the next is not fetched at once.
    #[error("resource servers refuse freshly granted tokens")]
    RejectedTokens,
    /// The client's assertion could not be signed.
    #[error("the client's assertion could not be signed")]
    Unsigned,
    /// The task that fetched the token was stopped, with its runtime.
    #[error("the fetch was stopped")]
    Stopped,
}

impl TokenErrorKind {
    /// Whether the server refused with this code.
    pub(crate) fn is(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Refused { error } if error == code.as_str())
    }
}

impl TokenError {
    pub(crate) fn new(kind: TokenErrorKind, retry_at: Instant) -> Self {
        Self { kind, retry_at }
    }

    /// The reason.
    #[must_use]
    pub fn kind(&self) -> &TokenErrorKind {
        &self.kind
    }

    /// How long from now until the source will ask the authorization server again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.retry_at.saturating_duration_since(Instant::now())
    }
}

/// Settings that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// An environment variable is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// An environment variable holds something else than it should.
    #[error("{name} {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client could not be built, for want of root certificates for instance.
    #[error("the HTTP client could not be built: {0}")]
    HttpClient(String),
    /// The key that the client authenticates with cannot be used.
    #[error("the client's key: {0}")]
    ClientKey(String),
    /// The DPoP key cannot be used.
    #[error("the DPoP key: {0}")]
    DpopKey(String),
    /// A [`ServiceTokenSet`](crate::ServiceTokenSet) holds as many managers in use as it may.
    #[error("the set already holds {0} managers in use")]
    TooMany(usize),
}
