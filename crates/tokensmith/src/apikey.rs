//! `tokensmith apikey`: API keys of people and services.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_oauth2::{ClientId, Scope};
use tokensmith_server::{api_keys::text, extract::check_name};
use tokensmith_store::{
    ApiKey, ApiKeyCreation, ApiKeyOwner, CreateApiKey, OrganizationId, RevokeApiKey,
};

use crate::{
    data::{Data, Place},
    listing::Listing,
    user,
};

const DAY: Duration = Duration::from_secs(86_400);

/// API keys: list, create, rotate, revoke.
#[derive(Debug, Args)]
pub(crate) struct ApiKeyCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys of a client or a user
    List(List),
    /// Create a key. It is printed once
    Create(Create),
    /// Replace a key by a new one with the same rights; the old one goes on for a while
    Rotate(Rotate),
    /// Revoke a key at once
    Revoke(Which),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Owner {
    /// The client it belongs to
    #[arg(long)]
    client: Option<ClientId>,
    /// The user it belongs to: e-mail address, username or id
    #[arg(long)]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    owner: Owner,
    /// A name for people
    #[arg(long)]
    name: String,
    /// What it permits, space separated; what its owner may not do it does not permit either
    #[arg(long)]
    scope: String,
    /// The resource it is for; the server's own audience when left out
    #[arg(long)]
    resource: Option<String>,
    /// Id of the organization it acts in, for a user's key
    #[arg(long, requires = "user")]
    org: Option<OrganizationId>,
    /// Days until it expires
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: u32,
}

#[derive(Debug, Args)]
struct Rotate {
    /// Id of the key: the part after `tsk_`
    id: String,
    /// For how many seconds the old one goes on
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    overlap_seconds: u64,
}

#[derive(Debug, Args)]
struct Which {
    /// Id of the key: the part after `tsk_`
    id: String,
}

impl ApiKeyCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(list) => list.run(data).await,
            Action::Create(create) => create.run(data).await,
            Action::Rotate(rotate) => rotate.run(data).await,
            Action::Revoke(which) => which.run(data).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Owner {
    async fn find(&self, data: &Data) -> Result<ApiKeyOwner> {
        if let Some(who) = &self.user {
            return Ok(ApiKeyOwner::User(user::find(data, who).await?.id));
        }
        let id = self.client.clone().context("name a client or a user")?;
        let known = data.store.client(&id).await?;
        ensure!(known.is_some(), "there is no client {id}");
        Ok(ApiKeyOwner::Client(id))
    }
}

impl List {
    async fn run(self, data: &Data) -> Result<()> {
        let owner = self.owner.find(data).await?;
        let (after, limit) = (&self.listing.after, self.listing.limit);
        let keys = data.store.api_keys_of(&owner, after, limit).await?;
        let rows: Vec<_> = keys
            .iter()
            .map(|key| {
                json!({ "id": key.id, "name": key.name, "scope": key.scope, "resource": key.resource,
                    "org_id": key.org_id, "created_at": key.created_at, "expires_at": key.expires_at,
                    "last_used_at": key.last_used_at, "revoked_at": key.revoked_at })
            })
            .collect();
        let columns = [
            "id",
            "name",
            "scope",
            "expires_at",
            "last_used_at",
            "revoked_at",
        ];
        self.listing.print(&rows, &columns)
    }
}

impl Create {
    async fn run(self, data: &Data) -> Result<()> {
        check_name(&self.name).map_err(|error| anyhow::anyhow!("{}", error.sentence()))?;
        let scope = Scope::parse(&self.scope)?;
        ensure!(!scope.is_empty(), "name what the key permits in --scope");
        let owner = self.owner.find(data).await?;
        let audience = data.config.audience();
        let resource = self.resource.unwrap_or_else(|| audience.to_owned());
        let known = data.store.resources().await?;
        ensure!(
            resource == audience || known.iter().any(|one| one.identifier == resource),
            "there is no resource {resource:?}"
        );
        let (id, digest, text) = text::make(&data.entropy);
        let key = ApiKey {
            id,
            digest,
            owner,
            org_id: self.org,
            name: self.name,
            scope,
            resource,
            created_at: data.now,
            expires_at: data.now + DAY * self.days,
            last_used_at: None,
            revoked_at: None,
        };
        put(data, key, None).await?;
        println!("key (shown once): {}", text.expose());
        Ok(())
    }
}

impl Rotate {
    async fn run(self, data: &Data) -> Result<()> {
        let old = find(data, &self.id).await?;
        ensure!(old.is_live(data.now), "the key {} is over", self.id);
        let (id, digest, text) = text::make(&data.entropy);
        let key = ApiKey {
            id,
            digest,
            created_at: data.now,
            expires_at: data.now + old.expires_at.since(old.created_at),
            last_used_at: None,
            ..old
        };
        let until = data.now + Duration::from_secs(self.overlap_seconds);
        put(data, key, Some((self.id, until))).await?;
        println!("key (shown once): {}", text.expose());
        Ok(())
    }
}

impl Which {
    async fn run(self, data: &Data) -> Result<()> {
        let key = find(data, &self.id).await?;
        let revoke = RevokeApiKey {
            id: key.id,
            owner: key.owner,
            revoked_until: data.revoked_until(),
            context: data.context(),
        };
        let before = if data.store.write(revoke).await? {
            ""
        } else {
            "already "
        };
        println!("the key {} is {before}revoked", self.id);
        Ok(())
    }
}

async fn find(data: &Data, id: &str) -> Result<ApiKey> {
    let found = data.store.api_key(id).await?;
    found.with_context(|| format!("there is no key {id:?}"))
}

async fn put(
    data: &Data,
    key: ApiKey,
    replaces: Option<(String, tokensmith_store::Timestamp)>,
) -> Result<()> {
    let id = key.id.clone();
    let create = CreateApiKey {
        key,
        replaces,
        context: data.context(),
    };
    match data.store.write(create).await? {
        ApiKeyCreation::Created => println!("created key {id}"),
        ApiKeyCreation::TooMany => bail!("the owner has {} keys: revoke one first", ApiKey::MOST),
        ApiKeyCreation::NoSuchOwner => bail!("the owner is disabled"),
        ApiKeyCreation::NotLive => bail!("the key to replace is over"),
    }
    Ok(())
}
