//! `tokensmith role`: the roles there are.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_store::OrganizationRole;

use crate::listing::Listing;

/// Roles in organizations.
#[derive(Debug, Args)]
pub(crate) struct RoleCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the roles a member of an organization may have
    List(Listing),
}

impl RoleCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let Action::List(listing) = self.action;
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
}
