//! `tokensmith permission`: what users may do, as names that roles hold.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_store::DeclarationKind;

use crate::{
    data::Place,
    declared::{self, Show, Which},
    listing::Listing,
};

const KIND: DeclarationKind = DeclarationKind::Permission;

/// Permissions: what users may do. Roles hold them.
#[derive(Debug, Args)]
pub(crate) struct PermissionCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the declared permissions
    List(Listing),
    /// Show one
    Show(Show),
    /// Declare a permission, or change its description
    Set(Set),
    /// Remove a permission that no role holds any more
    Delete(Which),
}

#[derive(Debug, Args)]
struct Set {
    /// Its name
    name: String,
    /// What it allows, for people
    #[arg(long)]
    description: Option<String>,
}

impl PermissionCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        self.place.run(async |data| match self.action {
            Action::List(listing) => {
                declared::list(data, KIND, &listing, &["name", "description"]).await
            }
            Action::Show(show) => declared::show(data, KIND, &show).await,
            Action::Set(set) => {
                let members = vec![("description", set.description.map(|text| json!(text)))];
                declared::set(data, KIND, &set.name, members).await
            }
            Action::Delete(which) => declared::delete(data, KIND, &which).await,
        })
    }
}
