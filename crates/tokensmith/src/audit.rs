//! `tokensmith audit`: read the audit log, prove that nobody changed it, take it elsewhere.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokensmith_server::audit::{self, Verification};
use tokensmith_store::{AuditPage, AuditRecord, ChainHead};

use crate::{
    data::{Data, Place},
    listing::Listing,
    user,
};

/// The audit log: list it, prove that nobody changed it, export it.
///
/// Every line carries a hash over the line before it, and the server signs the end of that chain now and then.
#[derive(Debug, Args)]
pub(crate) struct AuditCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List audit lines: the newest ones, oldest of them first; with --after, the ones that follow it
    List(List),
    /// Compute the chain of hashes again and check every signed checkpoint. Ends with 2 when the log was changed,
    /// naming the first broken record
    Verify(Verify),
    /// Write the log as JSON lines, checkpoints included, for an archive outside this machine
    Export(Export),
}

#[derive(Debug, Args)]
struct List {
    /// Only lines about this user: e-mail address, username or id
    #[arg(long, value_name = "WHO", conflicts_with = "after")]
    user: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
struct Verify {
    /// An earlier export. Its checkpoints show when the end of the log was cut off or rewritten since
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Export {
    /// The new file; standard output when left out
    file: Option<PathBuf>,
}

impl AuditCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let action = self.action;
        self.place.run(async |data| match action {
            Action::List(list) => list.run(data).await.map(|()| ExitCode::SUCCESS),
            Action::Verify(verify) => verify.run(data).await,
            Action::Export(export) => export.run(data).await.map(|()| ExitCode::SUCCESS),
        })
    }
}

const COLUMNS: [&str; 8] = [
    "id",
    "at",
    "event",
    "outcome",
    "actor",
    "user_id",
    "client_id",
    "ip",
];

impl List {
    async fn run(self, data: &Data) -> Result<()> {
        let (after, limit) = (&self.listing.after, self.listing.limit);
        if !after.is_empty() {
            let after = after.parse().context("--after takes the id of a line")?;
            let page = data.store.audit_page(AuditPage { after, limit }).await?;
            return self.listing.print(&rows(&page), &COLUMNS);
        }
        let mut newest = match &self.user {
            Some(who) => {
                data.store
                    .audit_of_user(user::find(data, who).await?.id.as_str(), limit)
                    .await?
            }
            None => data.store.audit_newest(limit).await?,
        };
        newest.reverse();
        self.listing.print_whole(&rows(&newest), &COLUMNS)
    }
}

fn rows(records: &[AuditRecord]) -> Vec<Value> {
    records.iter().map(row).collect()
}

/// The line's members, with its place in the log.
fn row(record: &AuditRecord) -> Value {
    let mut row =
        serde_json::from_str(&record.body).unwrap_or_else(|_| json!({ "unreadable": record.body }));
    if let Value::Object(members) = &mut row {
        members.insert("id".to_owned(), json!(record.id()));
    }
    row
}

impl Verify {
    async fn run(self, data: &Data) -> Result<ExitCode> {
        let held_outside = match &self.against {
            Some(file) => heads_in(data, file).await?,
            None => Vec::new(),
        };
        let found = audit::verify(&data.store, &held_outside).await?;
        if self.json {
            let findings: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
            let whole = findings.is_empty();
            println!(
                "{:#}",
                json!({ "whole": whole, "records": found.records, "checkpoints": found.checkpoints, "findings": findings })
            );
        } else {
            tell(&found);
        }
        Ok(if found.findings.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        })
    }
}

fn tell(found: &Verification) {
    for finding in &found.findings {
        println!("BROKEN  {finding}");
    }
    let verdict = if found.findings.is_empty() {
        "whole"
    } else {
        "not whole"
    };
    println!(
        "the audit log is {verdict}: {} records read, {} signed checkpoints hold",
        found.records, found.checkpoints
    );
    for (stream, seq) in &found.signed_up_to {
        println!("  stream {stream}: signed up to record {seq}");
    }
}

/// The heads of the checkpoints in an export.
async fn heads_in(data: &Data, file: &Path) -> Result<Vec<ChainHead>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let statement = |line: Value| {
        line.get("checkpoint")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let statements: Vec<String> = lines.filter_map(statement).collect();
    Ok(audit::heads_of(&data.store, &statements).await?)
}

impl Export {
    async fn run(self, data: &Data) -> Result<()> {
        let out: Box<dyn Write> = match &self.file {
            Some(file) => Box::new(
                fs::File::create_new(file)
                    .with_context(|| format!("cannot make {}", file.display()))?,
            ),
            None => Box::new(io::stdout().lock()),
        };
        let mut out = BufWriter::new(out);
        let records = write_records(data, &mut out).await?;
        for checkpoint in data.store.audit_checkpoints().await? {
            let (stream, seq) = (checkpoint.head.stream, checkpoint.head.seq);
            writeln!(
                out,
                "{}",
                json!({ "stream": stream, "seq": seq, "checkpoint": checkpoint.statement })
            )?;
        }
        out.flush()?;
        eprintln!("{records} records exported");
        Ok(())
    }
}

async fn write_records(data: &Data, out: &mut impl Write) -> Result<u64> {
    const PAGE: i64 = 2000;
    let (mut after, mut written) = (0, 0);
    loop {
        let records = data
            .store
            .audit_page(AuditPage { after, limit: PAGE })
            .await?;
        let Some(last) = records.last() else {
            return Ok(written);
        };
        after = last.id();
        written += records.len() as u64;
        for record in &records {
            // The text is what is hashed, so it is exported as it is, as a string.
            let hash: String = record
                .hash
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            writeln!(
                out,
                "{}",
                json!({ "stream": record.stream, "seq": record.seq, "record": record.body, "hash": hash })
            )?;
        }
    }
}
