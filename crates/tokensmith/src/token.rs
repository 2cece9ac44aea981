//! `tokensmith token`: what is in an access token and what is wrong with it; making and ending tokens; and what
//! became of them.

mod inspect;
mod mint;
mod named;
mod revoke;
mod timeline;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use self::inspect::Inspection;
use crate::{
    data::Place,
    listing::{printable, write_out},
    secret_input,
};

/// Tokens: see what is in one, make one, end one, and see what became of it.
#[derive(Debug, Args)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Decode a token and check it against the keys, users, clients and revocations of this server.
    /// Ends with 0 for a valid token and with 1 for any other
    Inspect(Inspect),
    /// Make an access token for a client, through the same rules as the token endpoint. Recorded in the audit log
    Mint(mint::Mint),
    /// End a token, a refresh token family, a session, or every token of a user or a client
    Revoke(revoke::RevokeToken),
    /// Every recorded event of a token, a family, a session or a user, and why it ended
    Timeline(timeline::ShowTimeline),
}

#[derive(Debug, Args)]
struct Inspect {
    /// The token. Left out, it is read from standard input, where other users of the machine cannot see it
    token: Option<String>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl TokenCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Inspect(inspect) => inspect.run(&self.place),
            Action::Mint(mint) => mint.run(&self.place),
            Action::Revoke(revoke) => revoke.run(&self.place),
            Action::Timeline(timeline) => timeline.run(&self.place),
        }
    }
}

impl Inspect {
    fn run(self, place: &Place) -> Result<ExitCode> {
        let token = match self.token {
            Some(token) => token,
            None => secret_input::from_stdin()?.expose().to_owned(),
        };
        let inspection = place.run(async |data| Inspection::of(data, token.trim()).await)?;
        write_out(&if self.json {
            as_json(&inspection)
        } else {
            as_text(&inspection)
        })?;
        Ok(if inspection.is_valid() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn as_json(inspection: &Inspection) -> String {
    let Inspection {
        header,
        claims,
        problems,
    } = inspection;
    format!(
        "{:#}\n",
        json!({ "valid": problems.is_empty(), "problems": problems, "header": header, "claims": claims })
    )
}

fn as_text(inspection: &Inspection) -> String {
    let mut text = String::new();
    for (name, part) in [
        ("header", &inspection.header),
        ("claims", &inspection.claims),
    ] {
        let shown = part
            .as_ref()
            .map_or("(unreadable)".to_owned(), |part| format!("{part:#}"));
        let lines: Vec<String> = shown.lines().map(printable).collect();
        text.push_str(&format!("{name} {}\n", lines.join("\n")));
    }
    let verdicts: Vec<String> = inspection
        .problems
        .iter()
        .map(|problem| format!("WRONG  {}\n", printable(problem)))
        .collect();
    text.push_str(&if verdicts.is_empty() {
        "valid\n".to_owned()
    } else {
        verdicts.concat()
    });
    text
}
