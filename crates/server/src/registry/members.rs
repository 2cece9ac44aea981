//! Reading a declaration from a JSON object, member by member: every problem is found in one go and names its member.
//! Unknown members and values of another type are refused; a member that is `null` counts as absent (RFC 7396 §1).

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What is wrong with one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The member's name; empty when it is the whole.
    pub member: String,
    /// One sentence.
    pub sentence: String,
}

/// An object that is being read.
pub(super) struct Members {
    map: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Members {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        let present = map.into_iter().filter(|(_, value)| !value.is_null());
        Self {
            map: present.collect(),
            problems: Vec::new(),
        }
    }

    /// A member, if it is there and of its type.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &str, form: &str) -> Option<T> {
        let value = self.map.remove(name)?;
        let read = serde_json::from_value(value);
        // What serde says may quote the value, so only the wanted form is told.
        read.map_err(|_| self.problem(name, format!("{name} must be {form}.")))
            .ok()
    }

    /// Whether a member is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A text that the declaration's own rule reads.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text: String = self.optional(name, "a text")?;
        read(&text)
            .map_err(|error| self.problem(name, format!("{name}: {error}.")))
            .ok()
    }

    /// A list of texts, each by the rule.
    pub(super) fn list<E: std::fmt::Display>(
        &mut self,
        name: &str,
        check: impl Fn(&str) -> Result<(), E>,
    ) -> Vec<String> {
        let list: Vec<String> = self.optional(name, "a list of texts").unwrap_or_default();
        for (place, one) in list.iter().enumerate() {
            if let Err(error) = check(one) {
                self.problem(name, format!("{name}: {one:?}: {error}."));
            }
            if list[..place].contains(one) {
                self.problem(name, format!("{name}: {one:?} stands twice."));
            }
        }
        list
    }

    /// A member that must be there.
    pub(super) fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        let has_problem = self.problems.iter().any(|problem| problem.member == name);
        if value.is_none() && !has_problem {
            self.problem(name, format!("{name} is missing."));
        }
        value
    }

    pub(super) fn problem(&mut self, member: &str, sentence: String) {
        self.problems.push(Problem {
            member: member.to_owned(),
            sentence,
        });
    }

    /// The members that nobody took.
    pub(super) fn rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.map)
    }

    /// The declaration, if nothing was wrong and nothing was left over.
    pub(super) fn finish<T>(mut self, value: Option<T>, what: &str) -> Result<T, Vec<Problem>> {
        for name in self.rest().into_iter().map(|(name, _)| name) {
            self.problem(&name, format!("{name} is no member of a {what}."));
        }
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(self.problems),
        }
    }
}

/// The rule for names of scopes, permissions and roles: one scope token (RFC 6749 §3.3), not of the server's own.
pub(super) fn own_name(text: &str) -> Result<String, String> {
    one_token(text)?;
    if text.starts_with(super::RESERVED) {
        return Err(format!(
            "names that begin with {} belong to this server",
            super::RESERVED
        ));
    }
    Ok(text.to_owned())
}

/// A name that may be referred to.
pub(super) fn one_token(text: &str) -> Result<(), String> {
    const LONGEST: usize = 200;
    match tokensmith_oauth2::Scope::parse(text) {
        Ok(scope) if scope.as_str() == text && !text.contains(' ') && text.len() <= LONGEST => {
            Ok(())
        }
        _ => Err(format!(
            "a name is 1 to {LONGEST} characters without spaces, quotes and backslashes"
        )),
    }
}
