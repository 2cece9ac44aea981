//! `WWW-Authenticate` challenges: Bearer (RFC 6750 §3, RFC 9728 §5.1), DPoP (RFC 9449 §7.1) and Basic (RFC 7617).
//! Values are written as quoted strings; a character that could end one early is replaced.

use std::{borrow::Cow, fmt};

use crate::{ErrorCode, Scope, token_response::describable};

/// A Bearer challenge. Without any parameter it is the bare word (RFC 6750 §3.1: no token, no error).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer(Vec<(&'static str, Cow<'static, str>)>);

impl Bearer {
    /// A challenge without parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The protection space.
    #[must_use]
    pub fn realm(self, realm: impl Into<Cow<'static, str>>) -> Self {
        self.with("realm", realm)
    }

    /// What is wrong with the token.
    #[must_use]
    pub fn error(self, code: ErrorCode) -> Self {
        self.with("error", code.as_str())
    }

    /// One public sentence about it.
    #[must_use]
    pub fn description(self, description: impl Into<Cow<'static, str>>) -> Self {
        self.with("error_description", description)
    }

    /// The scope that is needed.
    #[must_use]
    pub fn scope(self, scope: &Scope) -> Self {
        self.with("scope", scope.to_string())
    }

    /// Sign-ins that reach far enough, the preferred one first, separated by spaces (RFC 9470 §3).
    #[must_use]
    pub fn acr_values(self, acr_values: impl Into<Cow<'static, str>>) -> Self {
        self.with("acr_values", acr_values)
    }

    /// Seconds since the sign-in at most (RFC 9470 §3).
    #[must_use]
    pub fn max_age(self, seconds: u64) -> Self {
        self.with("max_age", seconds.to_string())
    }

    /// Where the metadata of this resource is (RFC 9728 §5.1).
    #[must_use]
    pub fn resource_metadata(self, url: impl Into<Cow<'static, str>>) -> Self {
        self.with("resource_metadata", url)
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.0.push((name, describable(value.into())));
        self
    }
}

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, "Bearer", &self.0)
    }
}

/// The same for a token that is bound to a key, with the signatures a proof may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dpop(Bearer);

impl Dpop {
    /// Says what a Bearer challenge says. `algorithms` are separated by spaces.
    #[must_use]
    pub fn new(bearer: Bearer, algorithms: &'static str) -> Self {
        Self(bearer.with("algs", algorithms))
    }
}

impl fmt::Display for Dpop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, "DPoP", &self.0.0)
    }
}

fn write(
    f: &mut fmt::Formatter<'_>,
    scheme: &str,
    parameters: &[(&'static str, Cow<'static, str>)],
) -> fmt::Result {
    f.write_str(scheme)?;
    for (index, (name, value)) in parameters.iter().enumerate() {
        let separator = if index == 0 { " " } else { ", " };
        write!(f, "{separator}{name}=\"{value}\"")?;
    }
    Ok(())
}

/// A Basic challenge for client authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic(Cow<'static, str>);

impl Basic {
    /// A challenge for a protection space.
    pub fn new(realm: impl Into<Cow<'static, str>>) -> Self {
        Self(describable(realm.into()))
    }
}

impl fmt::Display for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic realm=\"{}\", charset=\"UTF-8\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_written_as_in_the_rfcs() {
        let scope = Scope::parse("groups:read").unwrap();
        let challenge = Bearer::new()
            .error(ErrorCode::InsufficientScope)
            .scope(&scope);
        assert_eq!(
            challenge.to_string(),
            r#"Bearer error="insufficient_scope", scope="groups:read""#
        );
        assert_eq!(Bearer::new().to_string(), "Bearer");
        let challenge = Dpop::new(Bearer::new().error(ErrorCode::UseDpopNonce), "ES256 EdDSA");
        assert_eq!(
            challenge.to_string(),
            r#"DPoP error="use_dpop_nonce", algs="ES256 EdDSA""#
        );
        assert_eq!(
            Basic::new("a").to_string(),
            r#"Basic realm="a", charset="UTF-8""#
        );
    }

    proptest! {
        #[test]
        fn a_value_never_leaves_its_quotes(text in any::<String>()) {
            let challenge = Bearer::new().description(text).to_string();
            let inner = challenge.strip_prefix("Bearer error_description=\"").unwrap().strip_suffix('"').unwrap();
            prop_assert!(inner.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\'));
        }
    }
}
