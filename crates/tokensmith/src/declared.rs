//! What `tokensmith scope`, `resource`, `permission` and `role` have in common: list, show, set, delete. `set` makes a
//! declaration or changes the members that were named, by the rules of the admin API and of declarative files.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tokensmith_server::registry::{self, Document, Step, WriteRefusal, document, key_member};
use tokensmith_store::{Declaration, DeclarationKind};

use crate::{
    data::Data,
    listing::{self, Listing},
};

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its name
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name
    pub(crate) name: String,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints a page of a kind. The first column is the key.
pub(crate) async fn list(
    data: &Data,
    kind: DeclarationKind,
    listing: &Listing,
    columns: &[&str],
) -> Result<ExitCode> {
    let page = data.store.declarations(kind, &listing.after, listing.limit);
    let rows: Vec<Document> = page.await?.iter().map(document).collect();
    listing.print(&rows, columns)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn show(data: &Data, kind: DeclarationKind, show: &Show) -> Result<ExitCode> {
    let found = find(data, kind, &show.name).await?;
    listing::print_one(&document(&found), show.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn find(data: &Data, kind: DeclarationKind, key: &str) -> Result<Declaration> {
    let found = data.store.declaration(kind, key).await?;
    found.with_context(|| format!("there is no {} {key:?}", kind.word()))
}

/// Makes a declaration, or changes the members that are given.
pub(crate) async fn set(
    data: &Data,
    kind: DeclarationKind,
    key: &str,
    members: Vec<(&str, Option<Value>)>,
) -> Result<ExitCode> {
    let before = data.store.declaration(kind, key).await?;
    let mut object = before.as_ref().map(document).unwrap_or_default();
    object.insert(key_member(kind).to_owned(), key.into());
    for (name, value) in members {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    }
    let after = match registry::read(kind, object, before.as_ref(), data.now) {
        Ok(after) => after,
        Err(problems) => {
            let sentences: Vec<&str> = problems.iter().map(|one| one.sentence.as_str()).collect();
            bail!("{}", sentences.join(" "));
        }
    };
    let done = if before.is_some() {
        "changed"
    } else {
        "declared"
    };
    let Some(step) = Step::between(before, Some(after)) else {
        println!("{} {key} is so already", kind.word());
        return Ok(ExitCode::SUCCESS);
    };
    write(data, step).await?;
    println!("{} {key} is {done}", kind.word());
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn delete(data: &Data, kind: DeclarationKind, which: &Which) -> Result<ExitCode> {
    let before = find(data, kind, &which.name).await?;
    if let Some(step) = Step::between(Some(before), None) {
        write(data, step).await?;
    }
    println!("{} {} is removed", kind.word(), which.name);
    Ok(ExitCode::SUCCESS)
}

async fn write(data: &Data, step: Step) -> Result<()> {
    match registry::write(&data.store, &data.config, vec![step], data.context()).await? {
        Ok(()) => Ok(()),
        Err(WriteRefusal::ChangedMeanwhile(_)) => {
            bail!("it was changed by somebody else at the same moment; try again")
        }
        Err(WriteRefusal::Contradicts(sentences)) => bail!("{}", sentences.join(" ")),
    }
}

/// A list that was given. An empty name alone means an empty list.
pub(crate) fn names(given: Option<Vec<String>>) -> Option<Value> {
    let names: Vec<String> = given?.into_iter().filter(|name| !name.is_empty()).collect();
    Some(Value::from(names))
}
