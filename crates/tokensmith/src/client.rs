//! `tokensmith client`: OAuth clients (RFC 6749 §2) and their secrets.

mod certificate;
mod create;
mod metadata;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokensmith_oauth2::{ClientId, Secret};
use tokensmith_server::client_auth::new_secret;
use tokensmith_store::{
    AuthMethod, ChangeClient, Client, ClientChange, ClientSecret, RemoveClient, Timestamp,
};

use crate::{
    data::{Data, Place},
    listing::{self, Listing},
};

/// OAuth clients: list, show, create, disable, delete, new secrets.
#[derive(Debug, Args)]
pub(crate) struct ClientCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List clients
    List(Listing),
    /// Show one client. Secrets are kept as hashes and never shown
    Show(Show),
    /// Register a client; prints its secret once
    Create(Box<create::Create>),
    /// Refuse a client everywhere from now on
    Disable(Which),
    /// Accept a disabled client again
    Enable(Which),
    /// Remove a client
    Delete(Which),
    /// Give a client a new secret; prints it once
    RotateSecret(RotateSecret),
}

#[derive(Debug, Args)]
struct Which {
    /// The client id
    client_id: String,
}

#[derive(Debug, Args)]
struct Show {
    /// The client id
    client_id: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RotateSecret {
    /// The client id
    client_id: String,
    /// Hours for which the former secret stays valid; 0 ends it now
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    keep_old: u32,
}

#[derive(Serialize)]
struct ClientRow {
    client_id: ClientId,
    name: String,
    auth_method: AuthMethod,
    grant_types: Vec<&'static str>,
    scope: String,
    resources: Vec<String>,
    redirect_uris: Vec<String>,
    role: Option<String>,
    access_token_seconds: Option<i64>,
    is_active: bool,
    secrets: Vec<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Client> for ClientRow {
    fn from(client: Client) -> Self {
        let secret = |secret: &ClientSecret| match secret.expires_at {
            Some(at) => format!("{} (until {})", secret.id, Timestamp::from_millis(at)),
            None => secret.id.clone(),
        };
        Self {
            secrets: client.secrets.iter().map(secret).collect(),
            grant_types: client
                .grant_types
                .iter()
                .map(|grant| grant.as_str())
                .collect(),
            scope: client.scope.to_string(),
            client_id: client.client_id,
            name: client.name,
            auth_method: client.auth_method,
            resources: client.resources,
            redirect_uris: client.redirect_uris,
            role: client.role,
            access_token_seconds: client.access_token_seconds,
            is_active: client.is_active,
            created_at: client.created_at,
            updated_at: client.updated_at,
        }
    }
}

impl ClientCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(listing) => list(data, &listing).await,
            Action::Show(show) => listing::print_one(
                &ClientRow::from(find(data, &show.client_id).await?),
                show.json,
            ),
            Action::Create(create) => create.run(data).await,
            Action::Disable(which) => set_active(data, &which.client_id, false).await,
            Action::Enable(which) => set_active(data, &which.client_id, true).await,
            Action::Delete(which) => delete(data, &which.client_id).await,
            Action::RotateSecret(rotate) => rotate.run(data).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(data: &Data, listing: &Listing) -> Result<()> {
    let clients = data.store.clients(&listing.after, listing.limit).await?;
    let rows: Vec<ClientRow> = clients.into_iter().map(ClientRow::from).collect();
    listing.print(
        &rows,
        &[
            "client_id",
            "name",
            "auth_method",
            "grant_types",
            "scope",
            "is_active",
        ],
    )
}

async fn find(data: &Data, client_id: &str) -> Result<Client> {
    let id = ClientId::parse(client_id)
        .map_err(|error| anyhow!("{client_id:?} is no client id: {error}"))?;
    data.store
        .client(&id)
        .await?
        .with_context(|| format!("there is no client {client_id:?}"))
}

async fn set_active(data: &Data, client_id: &str, is_active: bool) -> Result<()> {
    let client = find(data, client_id).await?;
    change(data, client.client_id, ClientChange::Active(is_active)).await?;
    println!(
        "{client_id} is {}",
        if is_active { "enabled" } else { "disabled" }
    );
    Ok(())
}

async fn change(data: &Data, client_id: ClientId, change: ClientChange) -> Result<()> {
    let changed = data
        .store
        .write(ChangeClient {
            client_id,
            change,
            context: data.context(),
        })
        .await?;
    ensure!(
        changed,
        "the client was changed by somebody else at the same moment; try again"
    );
    Ok(())
}

async fn delete(data: &Data, client_id: &str) -> Result<()> {
    let client = find(data, client_id).await?;
    let removed = data
        .store
        .write(RemoveClient {
            client_id: client.client_id,
            context: data.context(),
        })
        .await?;
    ensure!(
        removed,
        "the client was removed by somebody else at the same moment"
    );
    println!("{client_id} is removed");
    Ok(())
}

impl RotateSecret {
    async fn run(self, data: &Data) -> Result<()> {
        let client = find(data, &self.client_id).await?;
        let method = client.auth_method;
        if !method.has_secret() {
            bail!("{} has no secret: {}", self.client_id, method.as_str());
        }
        let secret = new_secret(&data.entropy);
        let mut after = self.kept(data, &client);
        let made = data
            .client_secret(&client.client_id, method, &secret)
            .await?;
        after.push(made);
        let secrets = ClientChange::Secrets {
            before: client.secrets,
            after,
        };
        change(data, client.client_id, secrets).await?;
        if self.keep_old > 0 {
            println!("the former secret stays valid for {} hours", self.keep_old);
        }
        tell(&secret);
        Ok(())
    }

    /// The newest secret that is still valid, until the time given: a client has two at most.
    fn kept(&self, data: &Data, client: &Client) -> Vec<ClientSecret> {
        let until = data.now + Duration::from_secs(u64::from(self.keep_old) * 3600);
        let is_valid =
            |secret: &&ClientSecret| secret.expires_at.is_none_or(|at| at > data.now.as_millis());
        let newest = client
            .secrets
            .iter()
            .rfind(is_valid)
            .filter(|_| self.keep_old > 0)
            .cloned();
        let limited = newest.map(|mut secret| {
            let soonest = secret.expires_at.unwrap_or(i64::MAX).min(until.as_millis());
            secret.expires_at = Some(soonest);
            secret
        });
        limited.into_iter().collect()
    }
}

fn tell(secret: &Secret) {
    println!("client_secret (shown once): {}", secret.expose());
}
