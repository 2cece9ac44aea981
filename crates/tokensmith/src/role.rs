//! `tokensmith role`: declared roles, which hold permissions over the whole server; and the fixed roles in
//! organizations.

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_store::{
    ADMIN_ROLE, AssignRole, DeclarationKind, Giver, OrganizationId, OrganizationRole,
    RoleAssignment, Roles,
};

use crate::{
    data::{Data, Place},
    declared::{self, Show, Which},
    listing::Listing,
    user,
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
    /// Give a user a role, over the whole server or in an organization
    Assign(Assignment),
    /// Take a role from a user
    Withdraw(Assignment),
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

#[derive(Debug, Args)]
struct Assignment {
    /// The role
    role: String,
    /// Whose: e-mail address, username or id
    user: String,
    /// Id of the organization; without it, over the whole server
    #[arg(long)]
    org: Option<OrganizationId>,
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
            Action::Assign(assignment) => assignment.run(data, true).await,
            Action::Withdraw(assignment) => assignment.run(data, false).await,
        })
    }
}

impl Assignment {
    async fn run(self, data: &Data, has: bool) -> Result<ExitCode> {
        let user = user::find(data, &self.user).await?;
        let (role, email) = (self.role.clone(), user.email);
        let assign = AssignRole {
            user_id: user.id,
            org_id: self.org,
            role: self.role,
            has,
            giver: Giver::Operator,
            revoked_until: data.revoked_until(),
            context: data.context(),
        };
        let verb = if has { "has" } else { "no longer has" };
        match data.store.write(assign).await? {
            RoleAssignment::Done => println!("{email} {verb} the role {role}"),
            RoleAssignment::Already => println!("{email} already {verb} the role {role}"),
            RoleAssignment::NoSuchUser => bail!("{email} is not a member of this organization"),
            RoleAssignment::NoSuchOrganization => bail!("there is no such organization"),
            RoleAssignment::NoSuchRole => bail!("{}", undeclared(&role)),
            refusal => bail!("the role was not changed: {refusal:?}"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether these roles may be had over the whole server.
///
/// # Errors
/// When one is not declared.
pub(crate) async fn require_declared(data: &Data, roles: &[String]) -> Result<()> {
    if roles.is_empty() {
        return Ok(());
    }
    let declared = Roles::new(data.store.roles().await?);
    for role in roles {
        ensure!(
            role == ADMIN_ROLE || declared.has(role),
            "{}",
            undeclared(role)
        );
    }
    Ok(())
}

fn undeclared(role: &str) -> String {
    format!("no role {role:?} is declared: see `tokensmith role list` and `tokensmith role set`")
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
