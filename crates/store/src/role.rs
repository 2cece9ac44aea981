//! Permissions and roles as declared data: a role holds permissions and may include other roles. What a user's roles
//! permit follows from here, never from how a role is called.

use std::collections::{BTreeSet, HashMap};

use crate::{
    Row, Store, StoreError,
    tx::{FromRow, values},
};

/// Something that may be permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Its name: one token.
    pub name: String,
    /// What it allows, for people.
    pub description: String,
}

/// A set of permissions under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name: one token.
    pub name: String,
    /// Who should have it, for people.
    pub description: String,
    /// The permissions it holds itself.
    pub permissions: Vec<String>,
    /// The roles whose permissions it holds as well.
    pub includes: Vec<String>,
}

impl FromRow for Permission {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.text(0)?,
            description: row.text(1)?,
        })
    }
}

impl FromRow for Role {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.text(0)?,
            description: row.text(1)?,
            permissions: row.json(2)?,
            includes: row.json(3)?,
        })
    }
}

impl Store {
    /// Every declared permission, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn permissions(&self) -> Result<Vec<Permission>, StoreError> {
        self.all(
            "SELECT name, description FROM permissions ORDER BY name",
            values![],
        )
        .await
    }

    /// Every declared role, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn roles(&self) -> Result<Vec<Role>, StoreError> {
        const ALL: &str =
            "SELECT name, description, permissions, includes FROM roles ORDER BY name";
        self.all(ALL, values![]).await
    }
}

/// The permission that holds every other one, declared or not.
pub const EVERYTHING: &str = "tokensmith:admin";
/// The permission to manage users, within what the holder holds. [`EVERYTHING`] holds it.
pub const USERS: &str = "tokensmith:users";
/// The role over the whole server that holds [`EVERYTHING`], although nobody declared it.
pub const ADMIN_ROLE: &str = "admin";
/// Begins the permissions of this server itself. No organization gives them.
pub const RESERVED: &str = "tokensmith:";

/// Declared roles, for what follows from having some of them.
#[derive(Clone, Debug, Default)]
pub struct Roles(HashMap<String, Role>);

impl Roles {
    /// Takes in declarations.
    pub fn new(declared: Vec<Role>) -> Self {
        let named = declared.into_iter().map(|role| (role.name.clone(), role));
        Self(named.collect())
    }

    /// Whether a role of this name is declared.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// These roles and, after them, every role they include, none of them twice. A name that is not declared stays.
    pub fn with_included<'a>(&'a self, roles: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut reached: Vec<&str> = Vec::new();
        for role in roles {
            if !reached.contains(&role) {
                reached.push(role);
            }
        }
        let mut next = 0;
        while let Some(name) = reached.get(next) {
            let role = self.0.get(*name);
            for included in role.into_iter().flat_map(|role| &role.includes) {
                if !reached.contains(&included.as_str()) {
                    reached.push(included);
                }
            }
            next += 1;
        }
        reached
    }

    /// Everything that these roles over the whole server permit. A name that is not declared permits nothing.
    pub fn permissions<'a>(&'a self, roles: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let reached = self.with_included(roles);
        let mut permissions: BTreeSet<String> = reached
            .iter()
            .filter_map(|name| self.0.get(*name))
            .flat_map(|role| role.permissions.iter().cloned())
            .collect();
        if reached.contains(&ADMIN_ROLE) {
            permissions.insert(EVERYTHING.to_owned());
        }
        permissions
    }

    /// Everything that these roles permit in an organization: nothing of the server itself.
    pub fn permissions_in_organization<'a>(
        &'a self,
        roles: impl IntoIterator<Item = &'a str>,
    ) -> BTreeSet<String> {
        let mut permissions = self.permissions(roles);
        permissions.retain(|permission| !permission.starts_with(RESERVED));
        permissions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> Roles {
        let role = |name: &str, permissions: &[&str], includes: &[&str]| Role {
            name: name.to_owned(),
            description: String::new(),
            permissions: permissions.iter().map(|&one| one.to_owned()).collect(),
            includes: includes.iter().map(|&one| one.to_owned()).collect(),
        };
        Roles::new(vec![
            role("reader", &["pages:read"], &[]),
            role("editor", &["pages:write"], &["reader"]),
            role("chief", &["pages:delete"], &["editor", "reader"]),
            role("keeper", &["tokensmith:read"], &["admin"]),
        ])
    }

    #[test]
    fn a_role_holds_what_it_includes_and_each_is_named_once() {
        let roles = roles();
        assert_eq!(
            roles.with_included(["ghost", "chief", "chief"]),
            ["ghost", "chief", "editor", "reader"]
        );
        let permissions: Vec<String> = roles.permissions(["chief"]).into_iter().collect();
        assert_eq!(permissions, ["pages:delete", "pages:read", "pages:write"]);
        assert!(roles.permissions(["ghost"]).is_empty());
    }

    #[test]
    fn no_organization_gives_permissions_of_the_server_itself() {
        let roles = roles();
        assert!(roles.permissions(["keeper"]).contains(EVERYTHING));
        assert!(
            roles
                .permissions_in_organization(["keeper", "admin"])
                .is_empty()
        );
    }
}
