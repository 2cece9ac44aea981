//! `tokensmith token timeline`: why somebody was signed out.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokensmith_server::timeline::{self, Entry, Timeline};

use super::named::{Named, Wanted, argument};
use crate::{
    data::Place,
    listing::{printable, write_out},
};

#[derive(Debug, Args)]
pub(super) struct ShowTimeline {
    /// A refresh token family, a session, a user (id or e-mail address), a token, or an access token's jti. Left out,
    /// it is read from standard input, where other users of the machine cannot see a token
    what: Option<String>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl ShowTimeline {
    pub(super) fn run(self, place: &Place) -> Result<ExitCode> {
        let what = argument(self.what)?;
        let timeline = place.run(async |data| {
            let named = Named::by(data, &what, Wanted::Grant).await?;
            let timeline = timeline::of(&data.store, named.subject, data.now).await?;
            timeline.context("nothing is recorded of it: it is unknown, or the audit log was off")
        })?;
        write_out(&if self.json {
            format!("{:#}\n", json!(timeline))
        } else {
            as_text(&timeline)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn as_text(timeline: &Timeline) -> String {
    let subject = &timeline.subject;
    let mut text = format!("{} {}\n", subject.kind(), printable(subject.id()));
    for entry in &timeline.entries {
        text.push_str(&format!("{}  {}\n", entry.at, printable(&entry.what)));
        text.push_str(&format!("    {}\n", details(entry)));
    }
    if !timeline.is_whole {
        text.push_str("There are more events than shown here: the middle is left out.\n");
    }
    text.push_str(&format!("\n{}\n", printable(&timeline.verdict)));
    text
}

/// Who, from where, and what else the line holds.
fn details(entry: &Entry) -> String {
    const SAID: [&str; 5] = ["event", "at", "outcome", "user_id", "org_id"];
    let members = entry.line.iter();
    let members = members.filter(|(name, _)| !SAID.contains(&name.as_str()));
    let members: Vec<String> = members
        .map(|(name, value)| {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            format!("{name}={}", printable(&value))
        })
        .collect();
    members.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_from_outside_cannot_write_to_the_terminal() {
        let line = json!({"event": "e", "ip": "\u{1b}[31m"});
        let line = line.as_object().cloned().unwrap_or_default();
        let at = tokensmith_store::Timestamp::from_seconds(0);
        let entry = Entry {
            id: 1,
            at,
            what: String::new(),
            line,
        };
        assert_eq!(details(&entry), "ip=\\u{1b}[31m");
    }
}
