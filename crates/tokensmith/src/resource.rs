//! `tokensmith resource`: the resources that tokens are made for (RFC 8707).

use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_oauth2::{ResourceIndicator, Scope};
use tokensmith_server::{extract::check_name, keys::check_declared};
use tokensmith_store::{DeclarationKind, PutResource, Resource};

use crate::{
    data::{Data, Place},
    declared::{self, Show, Which},
    listing::Listing,
};

/// Resources: list, show, declare, delete.
#[derive(Debug, Args)]
pub(crate) struct ResourceCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List resources
    List(Listing),
    /// Declare a resource, or declare it anew. A running server knows it within a second, and has a key for a new
    /// algorithm two seconds later
    Declare(Declare),
    /// Show one
    Show(Show),
    /// Remove a resource that no client names any more
    Delete(Which),
}

#[derive(Debug, Args)]
struct Declare {
    /// The absolute URI that is the audience of its tokens
    identifier: String,
    /// A name for people; the identifier when left out
    #[arg(long)]
    name: Option<String>,
    /// The scope it knows, space separated; every scope when left out
    #[arg(long, default_value = "")]
    scope: String,
    /// Signature of its tokens; that of the server when left out. HS256 is for services that still share
    /// JWT_SECRET_KEY: every holder of the secret can forge their tokens
    #[arg(long, value_name = "ALG", value_parser = ["ES256", "RS256", "PS256", "EdDSA", "HS256"])]
    algorithm: Option<String>,
    /// Life of its access tokens in seconds; that of the client or the server when left out
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=86_400))]
    access_token_seconds: Option<i64>,
    /// What its tokens say of a user, comma separated; email and roles when left out. Permissions bring roles along
    #[arg(long, value_name = "CLAIMS", value_delimiter = ',', value_parser = ["email", "roles", "permissions"])]
    user_claims: Option<Vec<String>>,
}

impl ResourceCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(listing) => list(data, &listing).await,
            Action::Declare(declare) => declare.run(data).await,
            Action::Show(show) => declared::show(data, DeclarationKind::Resource, &show)
                .await
                .map(drop),
            Action::Delete(which) => declared::delete(data, DeclarationKind::Resource, &which)
                .await
                .map(drop),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(data: &Data, listing: &Listing) -> Result<()> {
    let resources = data.store.resources().await?;
    let rows: Vec<_> = resources
        .iter()
        .map(|resource| {
            let algorithm = resource.signing_algorithm.as_deref();
            let algorithm = algorithm.unwrap_or(data.config.tokens.signing_algorithm.as_str());
            json!({ "identifier": resource.identifier, "name": resource.name,
                    "scope": resource.scopes.join(" "), "algorithm": algorithm,
                    "access_token_seconds": resource.access_token_seconds })
        })
        .collect();
    listing.print_whole(
        &rows,
        &[
            "identifier",
            "name",
            "scope",
            "algorithm",
            "access_token_seconds",
        ],
    )
}

/// A change of a role reaches the tokens that say it, so who asks for permissions is told the roles, too.
fn with_roles(mut claims: Vec<String>) -> Vec<String> {
    claims.dedup();
    if claims.iter().any(|claim| claim == "permissions") && !claims.iter().any(|c| c == "roles") {
        claims.push("roles".to_owned());
    }
    claims
}

impl Declare {
    async fn run(self, data: &Data) -> Result<()> {
        let resource = self.resource(data)?;
        check_declared(&data.config, &resource).map_err(|reason| anyhow!(reason))?;
        if resource.signing_algorithm.as_deref() == Some("HS256") {
            eprintln!("note: every holder of the shared secret can forge tokens for this resource");
        }
        let known = data.store.scopes().await?;
        let is_known = |name: &String| known.iter().any(|scope| scope.name == *name);
        for unknown in resource.scopes.iter().filter(|name| !is_known(name)) {
            eprintln!("note: the scope {unknown} is declared nowhere");
        }
        let context = data.context();
        data.store.write(PutResource { resource, context }).await?;
        println!("declared resource {}", self.identifier);
        Ok(())
    }

    fn resource(&self, data: &Data) -> Result<Resource> {
        let name = self.name.as_deref().unwrap_or(&self.identifier);
        check_name(name).map_err(|error| anyhow!("{}", error.sentence()))?;
        let identifier = &self.identifier;
        ResourceIndicator::parse(identifier).map_err(|error| anyhow!("{identifier:?}: {error}"))?;
        let scope = match self.scope.trim() {
            "" => Scope::empty(),
            tokens => Scope::parse(tokens).map_err(|error| anyhow!("{error}"))?,
        };
        let has_secret = data.config.tokens.legacy_shared_secret.is_some();
        ensure!(
            self.algorithm.as_deref() != Some("HS256") || has_secret,
            "HS256 needs the shared secret: set JWT_SECRET_KEY here as for the server"
        );
        Ok(Resource {
            identifier: identifier.clone(),
            name: name.to_owned(),
            scopes: scope.iter().map(str::to_owned).collect(),
            signing_algorithm: self.algorithm.clone(),
            access_token_seconds: self.access_token_seconds,
            user_claims: self.user_claims.clone().map(with_roles),
            created_at: data.now,
        })
    }
}
