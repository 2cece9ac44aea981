//! What a user may do, as it follows from roles: those over the whole server, and those in one organization.

use std::collections::BTreeSet;

use tokensmith_store::OrganizationRole;

use super::{ADMIN, BUILT_IN, Declared};

/// Roles with everything they include, and what they permit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// The role in the organization first, then the others, none of them twice.
    pub roles: Vec<String>,
    /// Each permission once, in order.
    pub permissions: BTreeSet<String>,
}

/// What a user is in one organization.
#[derive(Clone, Copy, Debug)]
pub struct InOrganization<'a> {
    /// Owner, admin or member.
    pub role: OrganizationRole,
    /// Declared roles beside it.
    pub roles: &'a [String],
}

impl Authority {
    /// Whether it permits this. Who holds everything holds what nobody declared, too.
    pub fn permits(&self, permission: &str) -> bool {
        self.permissions.contains(ADMIN) || self.permissions.contains(permission)
    }
}

impl Declared {
    /// What a user with these roles may do, in an organization or outside of all.
    pub fn authority(&self, global: &[String], org: Option<InOrganization<'_>>) -> Authority {
        let mut permissions = self.permissions_of(global);
        let mut assigned: Vec<&str> = Vec::new();
        if let Some(org) = org {
            let names = org.role.declared().iter().copied();
            let names = names.chain(org.roles.iter().map(String::as_str));
            permissions.extend(self.roles.permissions_in_organization(names));
            assigned.extend(org.roles.iter().map(String::as_str));
        }
        assigned.extend(global.iter().map(String::as_str));
        let mut roles: Vec<String> = Vec::new();
        let first = org.map(|org| org.role.as_str());
        for role in first.into_iter().chain(self.roles.with_included(assigned)) {
            if !roles.iter().any(|known| known == role) {
                roles.push(role.to_owned());
            }
        }
        Authority { roles, permissions }
    }

    /// Everything that these roles over the whole server permit, with the roles they include. A name that is not declared
    /// permits nothing; who holds everything holds each declared permission.
    pub fn permissions_of(&self, roles: &[String]) -> BTreeSet<String> {
        let mut permissions = self.roles.permissions(roles.iter().map(String::as_str));
        if permissions.contains(ADMIN) {
            permissions.extend(BUILT_IN.map(str::to_owned));
            permissions.extend(self.permissions.iter().cloned());
        }
        permissions
    }
}
