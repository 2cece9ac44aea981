//! `tokensmith import`: what older services kept, brought over. May be repeated: what is here already stays as it is.

mod clients;
mod document;
mod report;
mod rest;
mod source;
mod tokens;

use std::{collections::HashSet, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use tokensmith_oauth2::Secret;
use tokensmith_server::{password::Hashing, token::RefreshRoot};

use self::{
    document::{Document, Refusal},
    report::{Outcome, Report},
    source::Source,
};
use crate::data::{Data, Place};

/// Bring over the data of an older service.
#[derive(Debug, Args)]
pub(crate) struct ImportCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The older machine-to-machine service, from its MongoDB or from files of `mongoexport`.
    /// Ends with 0 when everything was brought over or was here, and with 1 when a document was refused
    M2mMongodb(M2mMongodb),
}

#[derive(Debug, Args)]
struct M2mMongodb {
    /// A directory with files of `mongoexport`: clients.json, tokens.json and so on
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// The MongoDB to read from. It may hold a password, so better leave it in the environment
    #[arg(
        long,
        value_name = "URL",
        env = "MONGODB_URL",
        hide_env_values = true,
        required_unless_present = "from"
    )]
    url: Option<Secret>,
    /// The database in it
    #[arg(long, value_name = "NAME", env = "MONGODB_DB")]
    database: Option<String>,
    /// Say what would be brought over, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// A member of documents that means nothing here; may be repeated. Other members that are not known are refused
    #[arg(long = "ignore", value_name = "MEMBER")]
    ignored: Vec<String>,
    /// Print the report as a JSON object
    #[arg(long)]
    json: bool,
}

impl ImportCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let Action::M2mMongodb(action) = self.action;
        self.place.run(async |data| action.run(data).await)
    }
}

/// An import under way.
struct Import<'a> {
    data: &'a Data,
    hashing: Hashing,
    refresh_root: RefreshRoot,
    ignored: &'a [String],
    dry_run: bool,
}

impl M2mMongodb {
    async fn run(self, data: &Data) -> Result<ExitCode> {
        let source = match (&self.from, &self.url) {
            (Some(directory), _) => Source::files(directory)?,
            (None, url) => Source::connect(url.as_ref(), self.database.as_deref()).await?,
        };
        let master = data.config.master_key.as_ref();
        let import = Import {
            data,
            hashing: Hashing::start(&data.config.hashing)?,
            refresh_root: RefreshRoot::new(master.context("no master key is configured")?),
            ignored: &self.ignored,
            dry_run: self.dry_run,
        };
        let report = import.everything(&source).await?;
        report.print(self.dry_run, self.json)?;
        Ok(ExitCode::from(u8::from(report.has_refusals())))
    }
}

impl Import<'_> {
    /// Clients first, because tokens belong to them; what was revoked or used before what is live.
    async fn everything(&self, source: &Source) -> Result<Report> {
        let mut report = Report::default();
        let mut over = HashSet::new();
        for collection in ["revoked_tokens", "used_refresh_tokens"] {
            source
                .each(collection, async |document| {
                    over.extend(tokens::digests(document));
                    Ok(())
                })
                .await?;
        }
        let new_clients = self.clients(source, &mut report).await?;
        let mut families = tokens::Families::new(over, new_clients);
        self.collection(source, "tokens", &mut report, async |document| {
            families.live(self, document).await
        })
        .await?;
        self.collection(
            source,
            "used_refresh_tokens",
            &mut report,
            async |document| families.spent(self, document).await,
        )
        .await?;
        self.collection(source, "revoked_tokens", &mut report, async |document| {
            rest::revoked(self, document).await
        })
        .await?;
        self.collection(source, "audit_logs", &mut report, async |document| {
            rest::audit_line(self, document).await
        })
        .await?;
        let mut settings = Vec::new();
        self.collection(source, "config", &mut report, async |document| {
            rest::setting(document, &mut settings)
        })
        .await?;
        report.settings = settings;
        Ok(report)
    }

    /// The ids of clients that a dry run would bring over, with their scope.
    async fn clients(&self, source: &Source, report: &mut Report) -> Result<clients::Known> {
        let mut known = clients::Known::default();
        self.collection(source, "clients", report, async |document| {
            clients::bring(self, document, &mut known).await
        })
        .await?;
        Ok(known)
    }

    async fn collection(
        &self,
        source: &Source,
        name: &'static str,
        report: &mut Report,
        mut bring: impl AsyncFnMut(Document) -> Result<Outcome, Refusal>,
    ) -> Result<()> {
        source
            .each(name, async |document| {
                let id = document.id();
                report.add(name, &id, bring(document).await)
            })
            .await
    }
}
