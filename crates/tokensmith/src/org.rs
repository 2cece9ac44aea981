//! `tokensmith org`: organizations and who belongs to them.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_server::{extract::check_name, orgs};
use tokensmith_store::{CreateOrganization, Organization, OrganizationCreation, OrganizationId};

use crate::{
    data::{Data, Place},
    listing::Listing,
    user,
};

/// Organizations: list, create, see their members.
#[derive(Debug, Args)]
pub(crate) struct OrgCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List organizations
    List(Listing),
    /// Create an organization with its first owner
    Create(Create),
    /// Disable an organization: its tokens end now, and its members get none for it
    Disable(Which),
    /// Enable a disabled organization
    Enable(Which),
    /// List the members of an organization
    Members(Members),
}

#[derive(Debug, Args)]
struct Create {
    /// Its name
    name: String,
    /// The first owner: e-mail address, username or id
    #[arg(long, value_name = "WHO")]
    owner: String,
}

#[derive(Debug, Args)]
struct Which {
    /// Name or id of the organization
    organization: String,
}

#[derive(Debug, Args)]
struct Members {
    /// Name or id of the organization
    organization: String,
    #[command(flatten)]
    listing: Listing,
}

impl OrgCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(listing) => list(data, &listing).await,
            Action::Create(create) => create.run(data).await,
            Action::Disable(which) => which.set_active(data, false).await,
            Action::Enable(which) => which.set_active(data, true).await,
            Action::Members(members) => members.run(data).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(data: &Data, listing: &Listing) -> Result<()> {
    let organizations = data
        .store
        .organizations(&listing.after, listing.limit)
        .await?;
    let row = |org: &Organization| {
        json!({ "id": org.id, "name": org.name, "is_active": org.is_active, "created_at": org.created_at,
                "created_by": org.created_by })
    };
    let rows: Vec<_> = organizations.iter().map(row).collect();
    listing.print(&rows, &["id", "name", "is_active", "created_at"])
}

impl Create {
    async fn run(self, data: &Data) -> Result<()> {
        check_name(&self.name).map_err(|error| anyhow!("{}", error.sentence()))?;
        let owner = user::find(data, &self.owner).await?.id;
        let id = OrganizationId::from(data.entropy.uuid(data.now));
        let create = CreateOrganization {
            id: id.clone(),
            name: self.name.clone(),
            owner,
            context: data.context(),
        };
        match data.store.write(create).await? {
            OrganizationCreation::Created => println!("created organization {id}"),
            OrganizationCreation::NameTaken => {
                bail!("another organization has the name {:?}", self.name)
            }
            OrganizationCreation::NoSuchOwner => bail!("there is no user {:?}", self.owner),
        }
        Ok(())
    }
}

impl Which {
    async fn set_active(self, data: &Data, is_active: bool) -> Result<()> {
        let org = find(data, &self.organization).await?;
        let until = data.revoked_until();
        let changed =
            orgs::set_active(&data.store, &org.id, is_active, until, data.context()).await?;
        let state = if is_active { "enabled" } else { "disabled" };
        let before = if changed { "" } else { "already " };
        println!("{} is {before}{state}", org.name);
        Ok(())
    }
}

impl Members {
    async fn run(self, data: &Data) -> Result<()> {
        let org = find(data, &self.organization).await?;
        let members = data
            .store
            .members(&org.id, &self.listing.after, self.listing.limit)
            .await?;
        let rows: Vec<_> = members
            .iter()
            .map(|member| {
                let of = &member.membership;
                json!({ "user_id": of.user_id, "email": member.email, "role": of.role, "added_at": of.added_at,
                        "added_by": of.added_by })
            })
            .collect();
        self.listing
            .print(&rows, &["user_id", "email", "role", "added_at"])
    }
}

/// The organization with this id or exactly this name.
pub(crate) async fn find(data: &Data, named: &str) -> Result<Organization> {
    const PAGE: i64 = 500;
    if let Ok(id) = named.parse::<OrganizationId>()
        && let Some(organization) = data.store.organization(&id).await?
    {
        return Ok(organization);
    }
    let mut after = String::new();
    loop {
        let page = data.store.organizations(&after, PAGE).await?;
        let Some(last) = page.last() else {
            bail!("there is no organization {named:?}")
        };
        after = last.id.to_string();
        if let Some(found) = page
            .into_iter()
            .find(|organization| organization.name == named)
        {
            return Ok(found);
        }
    }
}
