//! `tokensmith issuer`: issuers outside whose tokens stand for clients (RFC 7523 §2.1), and by which rules.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{ArgGroup, Args, Subcommand};
use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_server::{fetch::Policy, registry::check_issuer};
use tokensmith_store::{PutTrustedIssuer, RemoveTrustedIssuer, TrustedIssuer, WorkloadRule};

use crate::{
    data::{Data, Place},
    listing::{self, Listing},
};

/// Trusted issuers: a build system or a cluster whose tokens stand for clients.
#[derive(Debug, Args)]
pub(crate) struct IssuerCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the trusted issuers
    List(Listing),
    /// Show one issuer with its rules
    Show(Show),
    /// Trust an issuer; without rules its tokens stand for nobody
    Add(Add),
    /// Let tokens that meet all these conditions stand for a client
    Allow(Allow),
    /// Remove every rule for a client
    Deny(Deny),
    /// Refuse an issuer from now on, and keep its rules
    Disable(Which),
    /// Accept a disabled issuer again
    Enable(Which),
    /// Trust an issuer no longer
    Remove(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// The issuer, exactly as its tokens name it in iss
    issuer: String,
}

#[derive(Debug, Args)]
struct Show {
    /// The issuer, exactly as its tokens name it in iss
    issuer: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("keys").required(true).args(["jwks", "jwks_uri"]))]
struct Add {
    /// The issuer, exactly as its tokens name it in iss
    issuer: String,
    /// A name for people
    #[arg(long, default_value = "")]
    name: String,
    /// A file with its public keys, a JWK set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where it serves its JWK set
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// Take a token more than once until it expires, as a workload needs that keeps its token in a file
    #[arg(long)]
    reusable: bool,
    /// The longest life of its tokens, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    max_life: i64,
}

#[derive(Debug, Args)]
struct Allow {
    /// The issuer
    issuer: String,
    /// The client that such tokens stand for
    #[arg(long, value_name = "CLIENT_ID")]
    client: String,
    /// A condition, as NAME=VALUE; may be repeated. The same name again adds a value. A value that ends in `/*` or `:*`
    /// stands for everything that begins like it
    #[arg(long = "claim", value_name = "NAME=VALUE", required = true)]
    claims: Vec<String>,
    /// The most that a token may hold, space separated; the client's own scope when left out
    #[arg(long)]
    scope: Option<String>,
    /// A resource that a token may be for, the first is the default; may be repeated
    #[arg(long = "resource", value_name = "URI")]
    resources: Vec<String>,
}

#[derive(Debug, Args)]
struct Deny {
    /// The issuer
    issuer: String,
    /// The client whose rules are removed
    #[arg(long, value_name = "CLIENT_ID")]
    client: String,
}

impl IssuerCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(listing) => list(data, &listing).await,
            Action::Show(show) => listing::print_one(&find(data, &show.issuer).await?, show.json),
            Action::Add(add) => add.run(data).await,
            Action::Allow(allow) => allow.run(data).await,
            Action::Deny(deny) => deny.run(data).await,
            Action::Disable(which) => set_active(data, &which.issuer, false).await,
            Action::Enable(which) => set_active(data, &which.issuer, true).await,
            Action::Remove(which) => remove(data, which.issuer).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(data: &Data, listing: &Listing) -> Result<()> {
    let issuers = data.store.trusted_issuers().await?;
    listing.print_whole(
        &issuers,
        &["issuer", "name", "jwks_uri", "once", "is_active"],
    )
}

impl Add {
    async fn run(self, data: &Data) -> Result<()> {
        ensure!(
            data.store.trusted_issuer(&self.issuer).await?.is_none(),
            "{:?} is trusted already; remove it first to begin anew",
            self.issuer
        );
        let issuer = TrustedIssuer {
            jwks: self.jwks.as_deref().map(read_json).transpose()?,
            issuer: self.issuer,
            name: self.name,
            jwks_uri: self.jwks_uri,
            assertion_seconds: self.max_life,
            once: !self.reusable,
            rules: Vec::new(),
            is_active: true,
        };
        let said = format!(
            "{} is trusted; say for whom with `issuer allow`",
            issuer.issuer
        );
        put(data, issuer, None).await?;
        println!("{said}");
        Ok(())
    }
}

fn read_json(path: &std::path::Path) -> Result<serde_json::Value> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

impl Allow {
    async fn run(self, data: &Data) -> Result<()> {
        let before = find(data, &self.issuer).await?;
        let rule = self.rule()?;
        let client = data.store.client(&rule.client_id).await?;
        let client = client.with_context(|| format!("there is no client {:?}", self.client))?;
        if !client.grant_types.contains(&GrantType::JwtBearer) {
            bail!(
                "{} is not registered for the grant {}",
                self.client,
                GrantType::JwtBearer
            );
        }
        let mut issuer = before.clone();
        issuer.rules.push(rule);
        put(data, issuer, Some(before)).await?;
        println!("tokens of {} may stand for {}", self.issuer, self.client);
        Ok(())
    }

    fn rule(&self) -> Result<WorkloadRule> {
        let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for condition in &self.claims {
            let (name, value) = condition
                .split_once('=')
                .with_context(|| format!("{condition:?} is not NAME=VALUE"))?;
            claims
                .entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        let scope = self.scope.as_deref().map(Scope::parse).transpose();
        Ok(WorkloadRule {
            client_id: ClientId::parse(&self.client)
                .map_err(|error| anyhow!("{:?} is no client id: {error}", self.client))?,
            claims,
            scope: scope.map_err(|error| anyhow!("{error}"))?,
            resources: self.resources.clone(),
        })
    }
}

impl Deny {
    async fn run(self, data: &Data) -> Result<()> {
        let before = find(data, &self.issuer).await?;
        let mut issuer = before.clone();
        issuer
            .rules
            .retain(|rule| rule.client_id.as_str() != self.client);
        let removed = before.rules.len() - issuer.rules.len();
        ensure!(
            removed > 0,
            "{} has no rule for {:?}",
            self.issuer,
            self.client
        );
        put(data, issuer, Some(before)).await?;
        println!("removed {removed} of the rules of {}", self.issuer);
        Ok(())
    }
}

async fn find(data: &Data, issuer: &str) -> Result<TrustedIssuer> {
    let found = data.store.trusted_issuer(issuer).await?;
    found.with_context(|| format!("there is no trusted issuer {issuer:?}"))
}

async fn put(data: &Data, issuer: TrustedIssuer, before: Option<TrustedIssuer>) -> Result<()> {
    check_issuer(&issuer, &Policy::new(&data.config.fetch))
        .map_err(|problem| anyhow!("{}: {problem}", issuer.issuer))?;
    let put = PutTrustedIssuer {
        issuer,
        before,
        context: data.context(),
    };
    ensure!(
        data.store.write(put).await?,
        "the issuer was changed by somebody else at the same moment; try again"
    );
    Ok(())
}

async fn set_active(data: &Data, issuer: &str, is_active: bool) -> Result<()> {
    let before = find(data, issuer).await?;
    let changed = TrustedIssuer {
        is_active,
        ..before.clone()
    };
    put(data, changed, Some(before)).await?;
    println!(
        "{issuer} is {}",
        if is_active { "enabled" } else { "disabled" }
    );
    Ok(())
}

async fn remove(data: &Data, issuer: String) -> Result<()> {
    let said = format!("{issuer} is trusted no longer");
    let context = data.context();
    let removed = data
        .store
        .write(RemoveTrustedIssuer { issuer, context })
        .await?;
    ensure!(removed, "there is no such trusted issuer");
    println!("{said}");
    Ok(())
}
