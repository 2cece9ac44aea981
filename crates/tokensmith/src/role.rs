//! `tokensmith role`: declared roles, which hold permissions over the whole server; and the fixed roles in
//! organizations.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_store::{DeclarationKind, OrganizationRole};

use crate::{
    data::Place,
    declared::{self, Show, Which},
    listing::Listing,
};

const KIND: DeclarationKind = DeclarationKind::Role;

/// Roles: permissions of users under one name.
#[derive(Debug, Args)]
pub(crate) struct RoleCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the declared roles
    List(Listing),
    /// List the roles a member of an organization may have; they are fixed
    InOrganizations(Listing),
    /// Show one
    Show(Show),
    /// Declare a role, or change what is named here
    Set(Set),
    /// Remove a role that no user has and no other role includes
    Delete(Which),
}

#[derive(Debug, Args)]
struct Set {
    /// Its name
    name: String,
    /// Who should have it, for people
    #[arg(long)]
    description: Option<String>,
    /// A permission it holds; may be repeated, and replaces those before. `--permission ''` for none
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Option<Vec<String>>,
    /// A role it includes; may be repeated, and replaces those before. `--include ''` for none
    #[arg(long = "include", value_name = "ROLE")]
    includes: Option<Vec<String>>,
}

impl RoleCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Action::InOrganizations(listing) = &self.action {
            return in_organizations(listing);
        }
        self.place.run(async |data| match self.action {
            Action::List(listing) => {
                let columns = ["name", "permissions", "includes", "description"];
                declared::list(data, KIND, &listing, &columns).await
            }
            Action::InOrganizations(listing) => in_organizations(&listing),
            Action::Show(show) => declared::show(data, KIND, &show).await,
            Action::Set(set) => {
                let members = vec![
                    ("description", set.description.map(|text| json!(text))),
                    ("permissions", declared::names(set.permissions)),
                    ("includes", declared::names(set.includes)),
                ];
                declared::set(data, KIND, &set.name, members).await
            }
            Action::Delete(which) => declared::delete(data, KIND, &which).await,
        })
    }
}

fn in_organizations(listing: &Listing) -> Result<ExitCode> {
    let roles = [
        (
            OrganizationRole::Owner,
            "Everything an admin may; makes and removes owners. The last owner stays.",
        ),
        (
            OrganizationRole::Admin,
            "Manages members and groups, and sees every group.",
        ),
        (
            OrganizationRole::Member,
            "Sees the organization and the groups they are in.",
        ),
    ];
    let rows: Vec<_> = roles
        .iter()
        .map(|(role, may)| json!({ "role": role, "may": may }))
        .collect();
    listing.print_whole(&rows, &["role", "may"])?;
    Ok(ExitCode::SUCCESS)
}
