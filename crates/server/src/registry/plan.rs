//! What changes between the registry as it is and as it should be, member by member: for the diff that people read, for
//! the audit line, and for the one write that does it. Secrets are compared and never shown.

use serde_json::{Value, json};
use tokensmith_store::{Declaration, DeclarationChange, DeclarationKind};

use super::document::document;

/// One record that is added, changed or removed.
#[derive(Clone, Debug)]
pub struct Step {
    /// As it is.
    pub before: Option<Declaration>,
    /// As it should be.
    pub after: Option<Declaration>,
    /// What differs. Empty only for a record that is removed.
    pub members: Vec<MemberChange>,
}

/// One member that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberChange {
    /// Its name.
    pub name: String,
    /// As it is; `None` when it is absent.
    pub before: Option<Value>,
    /// As it should be; `None` when it goes away.
    pub after: Option<Value>,
}

impl Step {
    /// The step from one to the other; `None` when nothing differs.
    pub fn between(before: Option<Declaration>, after: Option<Declaration>) -> Option<Self> {
        let members = members(before.as_ref(), after.as_ref());
        let differs = before.is_some() != after.is_some() || !members.is_empty();
        differs.then_some(Self {
            before,
            after,
            members,
        })
    }

    /// The record it is about.
    pub fn record(&self) -> Option<&Declaration> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Its kind, for the order of steps.
    pub fn kind(&self) -> Option<DeclarationKind> {
        self.record().map(Declaration::kind)
    }

    /// The same for the store.
    pub fn into_change(self) -> DeclarationChange {
        let of_change = self.before.is_some() && self.after.is_some();
        let names = self.members.into_iter().map(|member| member.name);
        DeclarationChange {
            before: self.before,
            after: self.after,
            members: if of_change {
                names.collect()
            } else {
                Vec::new()
            },
        }
    }
}

fn members(before: Option<&Declaration>, after: Option<&Declaration>) -> Vec<MemberChange> {
    let Some(after) = after else {
        return Vec::new();
    };
    let old = before.map(document).unwrap_or_default();
    let new = document(after);
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    let mut changes: Vec<MemberChange> = changed
        .map(|name| MemberChange {
            name: name.clone(),
            before: old.get(name).cloned(),
            after: new.get(name).cloned(),
        })
        .collect();
    changes.extend(secrets(before, after));
    changes
}

/// That secrets differ, told by their names alone.
fn secrets(before: Option<&Declaration>, after: &Declaration) -> Option<MemberChange> {
    let of = |declared: &Declaration| match declared {
        Declaration::Client(client) => client.secrets.clone(),
        _ => Vec::new(),
    };
    let (old, new) = (before.map(of).unwrap_or_default(), of(after));
    let names = |secrets: &[tokensmith_store::ClientSecret]| {
        let names: Vec<&str> = secrets.iter().map(|secret| secret.id.as_str()).collect();
        (!names.is_empty()).then(|| json!(names))
    };
    (old != new).then(|| MemberChange {
        name: "secrets".to_owned(),
        before: names(&old),
        after: names(&new),
    })
}
