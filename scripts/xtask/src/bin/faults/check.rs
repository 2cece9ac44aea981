//! After the last fault: the ledger of the clients against the server, and against its audit log.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::client::refresh_form;
use crate::ground::Ground;
use crate::ledger::{Family, Ledger};
use crate::wire::{Connection, Outcome};

/// What was looked at, for the summary.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) live: u64,
    pub(crate) revoked: u64,
    pub(crate) audit_lines: usize,
    /// Rotations that were durable although their answer was lost.
    pub(crate) lost_answers: u64,
}

/// I4: what was revoked is refused.
pub(crate) fn revoked_stay_revoked(ground: &Ground, ledger: &mut Ledger, checked: &mut Checked) {
    let mut connection = Connection::new(ground.port, 9_000);
    let revoked: Vec<_> = ledger
        .families
        .iter()
        .filter(|(_, family)| family.revoked)
        .collect();
    let mut broken = Vec::new();
    for (id, family) in revoked {
        let newest = family.newest().map(|(_, token)| token).unwrap_or_default();
        let status = status(&mut connection, newest);
        checked.revoked += 1;
        if status != Some(400) {
            broken.push(format!(
                "I4: a token of the revoked family {id} is answered {status:?}"
            ));
        }
    }
    ledger.broken.extend(broken);
}

/// I1 and I3: the newest token of each family is good; I2: an older one is not, and ends the family.
pub(crate) fn newest_are_live(ground: &Ground, ledger: &mut Ledger, checked: &mut Checked) {
    let mut connection = Connection::new(ground.port, 9_001);
    let mut broken = Vec::new();
    let mut successors = Vec::new();
    for (id, family) in ledger.families.iter().filter(|(_, family)| !family.revoked) {
        let Some((generation, newest)) = family.newest() else {
            continue;
        };
        checked.live += 1;
        let answer = connection.form("/oauth/token", &refresh_form(newest));
        let Outcome::Answered(answer) = answer else {
            broken.push(format!("I1: no answer to the newest token of {id}"));
            continue;
        };
        let successor = answer.body["refresh_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if answer.status != 200 {
            broken.push(format!(
                "I1: the newest token of {id} (generation {generation}) is lost: {}",
                answer.body
            ));
            continue;
        }
        successors.push((
            newest.to_owned(),
            successor.clone(),
            answer.body["access_token"].clone(),
        ));
        let older = family
            .tokens
            .range(..generation)
            .next_back()
            .map(|(_, token)| token.as_str());
        if let Some(older) = older {
            if status(&mut connection, older) != Some(400) {
                broken.push(format!("I2: a spent token of {id} is accepted"));
            }
            if status(&mut connection, &successor) != Some(400) {
                broken.push(format!("I2: {id} lives on though a spent token was used"));
            }
        }
    }
    for (presented, successor, access_token) in successors {
        ledger.handed_out(
            Some(&presented),
            &successor,
            access_token.as_str().unwrap_or_default(),
        );
    }
    ledger.broken.extend(broken);
}

fn status(connection: &mut Connection, token: &str) -> Option<u16> {
    match connection.form("/oauth/token", &refresh_form(token)) {
        Outcome::Answered(answer) => Some(answer.status),
        Outcome::NotSent | Outcome::TurnedAway | Outcome::Unknown => None,
    }
}

/// I5: each generation handed out has its one line, no line is for a generation nobody has, and the chain is whole.
pub(crate) fn audit_agrees(
    ground: &Ground,
    ledger: &mut Ledger,
    checked: &mut Checked,
) -> Result<()> {
    if let Err(broken) = ground.verify_audit() {
        ledger.breaks(format!("I5: {broken:#}"));
    }
    let lines = ground.audit()?;
    checked.audit_lines = lines.len();
    let repeats = lines
        .iter()
        .filter(|line| line["event"] == "refresh_token_repeated")
        .count() as u64;
    checked.lost_answers = repeats.saturating_sub(ledger.counts.repeats);
    let mut rotations: BTreeMap<&str, BTreeMap<u64, Vec<&Value>>> = BTreeMap::new();
    for line in lines
        .iter()
        .filter(|line| line["event"] == "refresh_token_rotated")
    {
        let family = line["grant_id"].as_str().unwrap_or_default();
        let generation = number(&line["generation"]);
        rotations
            .entry(family)
            .or_default()
            .entry(generation)
            .or_default()
            .push(line);
    }
    let nothing = BTreeMap::new();
    let mut broken = Vec::new();
    for (id, family) in &ledger.families {
        let recorded = rotations.get(id.as_str()).unwrap_or(&nothing);
        broken.extend(family_agrees(id, family, recorded));
    }
    let strangers = rotations
        .keys()
        .filter(|id| !ledger.families.contains_key(**id));
    broken.extend(strangers.map(|id| format!("I5: the log rotates {id}, which nobody was given")));
    ledger.broken.extend(broken);
    Ok(())
}

/// Details of an audit line are texts.
fn number(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    text.or_else(|| value.as_u64()).unwrap_or_default()
}

fn family_agrees(id: &str, family: &Family, recorded: &BTreeMap<u64, Vec<&Value>>) -> Vec<String> {
    let mut broken = Vec::new();
    let newest = family.newest().map_or(0, |(generation, _)| generation);
    for generation in 2..=newest {
        let lines = recorded.get(&generation).map_or(&[][..], Vec::as_slice);
        let written: Vec<_> = lines
            .iter()
            .filter_map(|line| line["jti"].as_str())
            .collect();
        let answered = family.access_token_ids.get(&generation);
        let answered = answered.map_or(&[][..], Vec::as_slice);
        if written != answered {
            broken.push(format!("I5: generation {generation} of {id} is recorded with {written:?}, and was answered with {answered:?}"));
        }
        if !family.tokens.contains_key(&generation) {
            broken.push(format!(
                "I3: generation {generation} of {id} was never handed out"
            ));
        }
    }
    // A rotation whose answer was lost and whose token was revoked next is the only one that may lie ahead.
    let ahead = recorded
        .keys()
        .filter(|generation| **generation > newest)
        .count();
    if ahead > usize::from(family.revoked) {
        broken.push(format!(
            "I1: {ahead} rotations of {id} that no client was told of"
        ));
    }
    broken
}
