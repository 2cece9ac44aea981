//! What an import did, by collection, and each document it refused.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::document::Refusal;
use crate::listing::{printable, write_out};

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is here now.
    Brought,
    /// It was here before.
    Known,
    /// Nothing needs to be brought over, for instance of a token that has expired.
    Skipped,
}

#[derive(Default, Serialize)]
struct Counts {
    read: u64,
    brought_over: u64,
    here_already: u64,
    not_needed: u64,
    refused: u64,
}

/// The report.
#[derive(Default, Serialize)]
pub(super) struct Report {
    collections: BTreeMap<&'static str, Counts>,
    refused: Vec<String>,
    /// Settings of the older service, as they are written here.
    pub(super) settings: Vec<String>,
}

impl Report {
    /// Counts a document. What is wrong with the store or the source ends the import.
    pub(super) fn add(
        &mut self,
        collection: &'static str,
        id: &str,
        outcome: Result<Outcome, Refusal>,
    ) -> Result<()> {
        let counts = self.collections.entry(collection).or_default();
        counts.read += 1;
        match outcome {
            Ok(Outcome::Brought) => counts.brought_over += 1,
            Ok(Outcome::Known) => counts.here_already += 1,
            Ok(Outcome::Skipped) => counts.not_needed += 1,
            Err(Refusal::Document(reason)) => {
                counts.refused += 1;
                let line = format!("{collection} {id}: {reason}");
                self.refused.push(printable(&line));
            }
            Err(Refusal::Stop(error)) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn has_refusals(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(super) fn print(&self, dry_run: bool, json: bool) -> Result<()> {
        if json {
            return write_out(&format!("{}\n", serde_json::to_string_pretty(self)?));
        }
        let verb = if dry_run {
            "to bring over"
        } else {
            "brought over"
        };
        let mut text = String::new();
        for (name, counts) in &self.collections {
            text.push_str(&format!(
                "{name:<20} {} read, {} {verb}, {} here already, {} not needed, {} refused\n",
                counts.read,
                counts.brought_over,
                counts.here_already,
                counts.not_needed,
                counts.refused
            ));
        }
        for line in &self.refused {
            text.push_str(&format!("refused: {line}\n"));
        }
        for line in &self.settings {
            text.push_str(&format!("setting: {line}\n"));
        }
        if dry_run {
            text.push_str("Nothing was changed.\n");
        }
        write_out(&text)
    }
}
