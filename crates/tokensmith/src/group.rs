//! `tokensmith group`: groups of an organization and who is in them.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_server::extract::check_name;
use tokensmith_store::{AddGroupMember, CreateGroup, GroupChange, GroupId};

use crate::{
    data::{Data, Place},
    listing::Listing,
    org, user,
};

/// Groups of an organization: list, create, see and add members.
#[derive(Debug, Args)]
pub(crate) struct GroupCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the groups of an organization
    List(List),
    /// Create a group
    Create(Create),
    /// List the members of a group
    Members(Members),
    /// Put a member of the organization into a group
    Add(Add),
}

#[derive(Debug, Args)]
struct List {
    /// Name or id of the organization
    organization: String,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
struct Create {
    /// Name or id of the organization
    organization: String,
    /// The group's name
    name: String,
    /// What it is for
    #[arg(long, default_value = "")]
    description: String,
}

#[derive(Debug, Args)]
struct Members {
    /// The group's id
    group: String,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
struct Add {
    /// The group's id
    group: String,
    /// E-mail address, username or id
    who: String,
}

impl GroupCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(list) => list.run(data).await,
            Action::Create(create) => create.run(data).await,
            Action::Members(members) => members.run(data).await,
            Action::Add(add) => add.run(data).await,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, data: &Data) -> Result<()> {
        let org = org::find(data, &self.organization).await?;
        let listing = &self.listing;
        let groups = data
            .store
            .groups_of_organization(&org.id, &listing.after, listing.limit)
            .await?;
        let rows: Vec<_> = groups
            .iter()
            .map(|group| {
                json!({ "id": group.id, "name": group.name, "description": group.description, "org_id": group.org_id,
                        "created_at": group.created_at, "updated_at": group.updated_at })
            })
            .collect();
        listing.print(&rows, &["id", "name", "description", "created_at"])
    }
}

impl Create {
    async fn run(self, data: &Data) -> Result<()> {
        check_name(&self.name).map_err(|error| anyhow!("{}", error.sentence()))?;
        let org_id = org::find(data, &self.organization).await?.id;
        let id = GroupId::from(data.entropy.uuid(data.now));
        let (name, description, context) = (self.name, self.description, data.context());
        let create = CreateGroup {
            id: id.clone(),
            org_id,
            name,
            description,
            actor: None,
            context,
        };
        accept(data.store.write(create).await?)?;
        println!("created group {id}");
        Ok(())
    }
}

impl Members {
    async fn run(self, data: &Data) -> Result<()> {
        let group = find(data, &self.group).await?;
        let members = data
            .store
            .group_members(&group, &self.listing.after, self.listing.limit)
            .await?;
        let rows: Vec<_> = members
            .iter()
            .map(|member| {
                json!({ "user_id": member.user_id, "email": member.email, "added_at": member.added_at,
                        "added_by": member.added_by })
            })
            .collect();
        self.listing.print(&rows, &["user_id", "email", "added_at"])
    }
}

impl Add {
    async fn run(self, data: &Data) -> Result<()> {
        let group_id = find(data, &self.group).await?;
        let user = user::find(data, &self.who).await?;
        let add = AddGroupMember {
            group_id,
            user_id: user.id,
            actor: None,
            context: data.context(),
        };
        accept(data.store.write(add).await?)?;
        println!("{} is in the group now", user.email);
        Ok(())
    }
}

async fn find(data: &Data, named: &str) -> Result<GroupId> {
    let id: GroupId = named
        .parse()
        .map_err(|_| anyhow!("{named:?} is not a group's id; `group list` shows them"))?;
    data.store
        .group(&id)
        .await?
        .map(|group| group.id)
        .with_context(|| format!("there is no group {named}"))
}

fn accept(change: GroupChange) -> Result<()> {
    match change {
        GroupChange::Done => Ok(()),
        GroupChange::NameTaken => bail!("the organization has a group of this name"),
        GroupChange::AlreadyMember => bail!("the user is in the group already"),
        GroupChange::NotInOrganization => {
            bail!("the user does not belong to the group's organization")
        }
        other => bail!("the group was not changed: {other:?}"),
    }
}
