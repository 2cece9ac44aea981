//! The `tokensmith` command: one file per command. Exit codes: 0 done, 1 refused or failed, 2 wrong usage (or, for
//! `audit verify`, a log that was changed).

mod apikey;
mod apply;
mod audit;
mod backup;
mod banner;
mod client;
mod config;
mod data;
mod declared;
mod dev;
mod group;
mod import;
mod issuer;
mod key;
mod listing;
mod migrate;
mod openapi;
mod org;
mod passwords;
mod permission;
mod process;
mod resource;
mod role;
mod scope;
mod secret_input;
mod serve;
mod token;
mod user;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An OAuth 2 / OpenID Connect authorization server in one binary.
///
/// `tokensmith dev` shows it with demo data. `tokensmith serve` runs it in production. The other commands work on the
/// data of either, also while it runs.
#[derive(Debug, Parser)]
#[command(
    name = "tokensmith",
    version,
    max_term_width = 110,
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Dev),
    Serve(serve::Serve),
    User(user::UserCommand),
    Org(org::OrgCommand),
    Group(group::GroupCommand),
    Role(role::RoleCommand),
    Permission(permission::PermissionCommand),
    Passwords(passwords::PasswordsCommand),
    Client(client::ClientCommand),
    Resource(resource::ResourceCommand),
    Issuer(issuer::IssuerCommand),
    Scope(scope::ScopeCommand),
    Apply(apply::Apply),
    Key(key::KeyCommand),
    /// API keys of people and services: list, create, rotate, revoke
    #[command(name = "apikey")]
    ApiKey(apikey::ApiKeyCommand),
    Token(token::TokenCommand),
    Audit(audit::AuditCommand),
    Migrate(migrate::Migrate),
    Backup(backup::BackupCommand),
    Import(import::ImportCommand),
    Config(config::ConfigCommand),
    Openapi(openapi::OpenApi),
}

impl Command {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::Dev(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::User(command) => command.run(),
            Self::Org(command) => command.run(),
            Self::Group(command) => command.run(),
            Self::Role(command) => command.run(),
            Self::Permission(command) => command.run(),
            Self::Passwords(command) => command.run(),
            Self::Client(command) => command.run(),
            Self::Resource(command) => command.run(),
            Self::Issuer(command) => command.run(),
            Self::Scope(command) => command.run(),
            Self::Apply(command) => command.run(),
            Self::Key(command) => command.run(),
            Self::ApiKey(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Audit(command) => command.run(),
            Self::Migrate(command) => command.run(),
            Self::Backup(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Openapi(command) => command.run(),
        }
    }
}

fn main() -> ExitCode {
    process::create_files_for_the_owner_alone();
    process::refuse_huge_pages();
    CommandLine::parse().command.run().unwrap_or_else(|error| {
        eprintln!("tokensmith: {}", format!("{error:#}").trim_end());
        ExitCode::FAILURE
    })
}
