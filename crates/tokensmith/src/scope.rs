//! `tokensmith scope`: what tokens may permit, and what each implies.

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

const KIND: DeclarationKind = DeclarationKind::Scope;

/// Scopes: what tokens may permit.
#[derive(Debug, Args)]
pub(crate) struct ScopeCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the declared scopes
    List(Listing),
    /// Show one
    Show(Show),
    /// Declare a scope, or change what is named here
    Set(Set),
    /// Remove a scope that nothing names any more
    Delete(Which),
}

#[derive(Debug, Args)]
struct Set {
    /// The scope token
    name: String,
    /// What it allows, for people
    #[arg(long)]
    description: Option<String>,
    /// A scope it implies; may be repeated, and replaces what it implied before. `--implies ''` for none
    #[arg(long, value_name = "SCOPE")]
    implies: Option<Vec<String>>,
}

impl ScopeCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        self.place.run(async |data| match self.action {
            Action::List(listing) => {
                let columns = ["name", "implies", "description"];
                declared::list(data, KIND, &listing, &columns).await
            }
            Action::Show(show) => declared::show(data, KIND, &show).await,
            Action::Set(set) => {
                let members = vec![
                    ("description", set.description.map(|text| json!(text))),
                    ("implies", declared::names(set.implies)),
                ];
                declared::set(data, KIND, &set.name, members).await
            }
            Action::Delete(which) => declared::delete(data, KIND, &which).await,
        })
    }
}
