//! Assertions (RFC 7521 §5.2, RFC 7523 §3): JWTs that speak for a client or a workload, and what each of them must say.
//!
//! The audience is this issuer alone (RFC 7523bis), so that an assertion made for another server is worth nothing
//! here. Refuses a claim of the wrong type, a life that is too long, and symmetric keys.

mod claims;
mod keys;

use std::time::Duration;

use tokensmith_jose::VerifyError;
use tokensmith_store::Timestamp;

pub use claims::{Claims, Named};
pub use keys::{Keys, UnusableKeys, algorithm_for_assertions, key_set, key_set_of};

/// How far another party's clock may be off.
pub const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// What an assertion is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The audience: this server's issuer identifier, exactly.
    pub audience: &'a str,
    /// The longest life.
    pub longest: Duration,
    /// The instant.
    pub now: Timestamp,
}

/// Why an assertion is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Its form, header, key or signature.
    #[error("The assertion is not a JWT that this server can verify.")]
    Unverified(#[from] VerifyError),
    /// The keys cannot be had from where they are published.
    #[error("The keys that would verify the assertion cannot be fetched at the moment.")]
    NoKeys,
    /// `iss` or `sub`.
    #[error("The assertion's iss and sub must both be the client id.")]
    Parties,
    /// `aud`.
    #[error("The assertion's aud must be this server's issuer identifier, exactly and alone.")]
    Audience,
    /// `exp` has passed.
    #[error("The assertion has expired.")]
    Expired,
    /// `iat` or `nbf` lies ahead.
    #[error("The assertion is not valid yet. Check the clock it was made by.")]
    Early,
    /// Too much time between `iat`, or now, and `exp`; or none.
    #[error("The assertion lives too long. Let exp be at most a few minutes after iat.")]
    Life,
    /// `jti` is missing or empty.
    #[error("The assertion has no jti.")]
    NoJti,
    /// Its `jti` was used.
    #[error("The assertion was used before. Make a new one for each request.")]
    Replayed,
    /// A claim is missing or has the wrong type.
    #[error("The assertion needs the texts iss, sub, aud and jti, and exp as a number.")]
    Claims,
    /// The algorithm is not the one registered.
    #[error("The assertion is not signed with the registered algorithm.")]
    Algorithm,
}

impl AssertionError {
    /// The word in metrics and audit lines.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Unverified(VerifyError::UnknownKey) => "assertion_key_unknown",
            Self::Unverified(VerifyError::Signature) => "assertion_signature",
            Self::Unverified(_) => "assertion_malformed",
            Self::NoKeys => "assertion_keys_unavailable",
            Self::Parties => "assertion_parties",
            Self::Audience => "assertion_audience",
            Self::Expired => "assertion_expired",
            Self::Early => "assertion_early",
            Self::Life => "assertion_life",
            Self::NoJti => "assertion_jti_missing",
            Self::Replayed => "assertion_replayed",
            Self::Claims => "assertion_claims",
            Self::Algorithm => "assertion_algorithm",
        }
    }
}
