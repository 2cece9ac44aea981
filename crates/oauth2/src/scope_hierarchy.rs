//! Declared scope hierarchies: `groups:admin` implies `groups:write` implies `groups:read`.
//! Hierarchies are data given at start; nothing is implied by how a token is spelled.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{Scope, ScopeError, scope::is_token};

type Implications = BTreeMap<Box<str>, BTreeSet<Box<str>>>;

/// What each scope token implies, already followed to the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<String>>")]
pub struct ScopeHierarchy(Implications);

impl ScopeHierarchy {
    /// Declares what each token implies directly. Cycles are allowed and make their members equal.
    ///
    /// # Errors
    /// [`ScopeError::Character`] when a declared token is not a scope token.
    pub fn new<T, I>(declared: impl IntoIterator<Item = (T, I)>) -> Result<Self, ScopeError>
    where
        T: AsRef<str>,
        I: IntoIterator<Item = T>,
    {
        let mut direct = Implications::new();
        for (token, implied) in declared {
            let implied = implied
                .into_iter()
                .map(checked)
                .collect::<Result<Vec<_>, _>>()?;
            direct.entry(checked(token)?).or_default().extend(implied);
        }
        let followed = direct
            .keys()
            .map(|token| (token.clone(), reachable(&direct, token)));
        Ok(Self(followed.collect()))
    }

    /// The scope and everything it implies.
    #[must_use]
    pub fn closure(&self, scope: &Scope) -> Scope {
        let implied = scope.iter().filter_map(|token| self.0.get(token)).flatten();
        Scope::from_tokens(scope.iter().chain(implied.map(AsRef::as_ref)).collect())
    }

    /// True when the scope holds the token or one that implies it.
    #[must_use]
    pub fn permits(&self, scope: &Scope, token: &str) -> bool {
        scope
            .iter()
            .any(|held| held == token || self.implies(held, token))
    }

    fn implies(&self, held: &str, token: &str) -> bool {
        self.0
            .get(held)
            .is_some_and(|implied| implied.contains(token))
    }
}

impl TryFrom<BTreeMap<String, Vec<String>>> for ScopeHierarchy {
    type Error = ScopeError;

    fn try_from(declared: BTreeMap<String, Vec<String>>) -> Result<Self, ScopeError> {
        Self::new(declared)
    }
}

fn checked(token: impl AsRef<str>) -> Result<Box<str>, ScopeError> {
    let token = token.as_ref();
    if is_token(token) {
        Ok(token.into())
    } else {
        Err(ScopeError::Character)
    }
}

fn reachable(direct: &Implications, from: &str) -> BTreeSet<Box<str>> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(token) = open.pop() {
        for implied in direct.get(token).into_iter().flatten() {
            if found.insert(implied.clone()) {
                open.push(implied);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> ScopeHierarchy {
        ScopeHierarchy::new([
            ("groups:admin", vec!["groups:write"]),
            ("groups:write", vec!["groups:read"]),
            ("groups:read", vec!["members:read"]),
        ])
        .unwrap()
    }

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn row_265_admin_reads_but_read_does_not_write() {
        assert!(groups().permits(&scope("groups:admin"), "groups:read"));
        assert!(!groups().permits(&scope("groups:read"), "groups:write"));
        assert!(!groups().permits(&scope("members:read"), "groups:read"));
    }

    #[test]
    fn the_closure_follows_every_step() {
        let closure = groups().closure(&scope("groups:write other"));
        assert_eq!(
            closure,
            scope("groups:write groups:read members:read other")
        );
    }

    #[test]
    fn a_cycle_ends() {
        let cycle = ScopeHierarchy::new([("a", vec!["b"]), ("b", vec!["a"])]).unwrap();
        assert!(cycle.permits(&scope("b"), "a"));
        assert!(!cycle.permits(&Scope::empty(), "a"));
    }

    #[test]
    fn a_declared_token_must_be_a_scope_token() {
        assert!(ScopeHierarchy::new([("a b", vec!["c"])]).is_err());
        assert!(serde_json::from_str::<ScopeHierarchy>(r#"{"a":["\u0000"]}"#).is_err());
        assert!(serde_json::from_str::<ScopeHierarchy>(r#"{"a":["b"]}"#).is_ok());
    }
}
