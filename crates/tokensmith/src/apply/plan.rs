//! From what files say to the steps that make it so.

use anyhow::Result;
use tokensmith_server::registry::{self, ACCOUNT_CLIENT, Step};
use tokensmith_store::{Declaration, DeclarationKind};

use super::{
    file::{Files, Problem, Wanted},
    secret,
};
use crate::data::Data;

/// Records read at a time.
const PAGE: i64 = 1000;

/// The steps, or every problem of every file.
pub(super) async fn steps(
    data: &Data,
    files: Files,
    prune: bool,
) -> Result<Result<Vec<Step>, Vec<Problem>>> {
    let (mut steps, mut problems) = (Vec::new(), Vec::new());
    let mut named: Vec<(DeclarationKind, String)> = Vec::new();
    for wanted in files.wanted {
        named.push((wanted.kind, wanted.key.clone()));
        match step(data, wanted).await? {
            Ok(step) => steps.extend(step),
            Err(found) => problems.extend(found),
        }
    }
    if prune {
        for kind in files.kinds {
            let every = all(data, kind).await?;
            let others = every.into_iter().filter(|declared| {
                let is_named = named
                    .iter()
                    .any(|(of, key)| *of == kind && key == declared.key());
                !is_named && !is_of_the_server(declared)
            });
            steps.extend(others.filter_map(|declared| Step::between(Some(declared), None)));
        }
    }
    // In the order in which each kind refers to those before it; what goes away comes last.
    steps.sort_by_key(|step| (step.after.is_none(), step.kind()));
    Ok(if problems.is_empty() {
        Ok(steps)
    } else {
        Err(problems)
    })
}

async fn step(data: &Data, mut wanted: Wanted) -> Result<Result<Option<Step>, Vec<Problem>>> {
    if wanted.kind == DeclarationKind::Client && wanted.key == ACCOUNT_CLIENT {
        let problem = wanted.problem("", "it belongs to the server itself.");
        return Ok(Err(vec![problem]));
    }
    let mut problems = Vec::new();
    let given = match wanted.kind {
        DeclarationKind::Client => secret::take(&mut wanted),
        _ => Ok(secret::Given::Nothing),
    };
    let given = given.unwrap_or_else(|problem| {
        problems.push(problem);
        secret::Given::Nothing
    });
    let before = data.store.declaration(wanted.kind, &wanted.key).await?;
    let read = registry::read(
        wanted.kind,
        wanted.object.clone(),
        before.as_ref(),
        data.now,
    );
    let mut after = match read {
        Ok(after) => after,
        Err(found) => {
            let found = found.iter();
            problems.extend(found.map(|one| wanted.problem(&one.member, &one.sentence)));
            return Ok(Err(problems));
        }
    };
    if after.key() != wanted.key {
        let member = registry::key_member(wanted.kind);
        problems.push(wanted.problem(member, &format!("{member} is not the name of its table.")));
    }
    if let (Declaration::Client(client), true) = (&mut after, problems.is_empty())
        && let Some(sentence) = secret::give(data, client, given).await?
    {
        problems.push(wanted.problem("", sentence));
    }
    Ok(if problems.is_empty() {
        Ok(Step::between(before, Some(after)))
    } else {
        Err(problems)
    })
}

/// Every declaration of a kind.
pub(super) async fn all(data: &Data, kind: DeclarationKind) -> Result<Vec<Declaration>> {
    let mut every: Vec<Declaration> = Vec::new();
    loop {
        let after = every
            .last()
            .map(|last| last.key().to_owned())
            .unwrap_or_default();
        let page = data.store.declarations(kind, &after, PAGE).await?;
        let is_last = (page.len() as i64) < PAGE;
        every.extend(page);
        if is_last {
            return Ok(every);
        }
    }
}

/// Whether the server keeps it by itself.
pub(super) fn is_of_the_server(declared: &Declaration) -> bool {
    declared.kind() == DeclarationKind::Client && declared.key() == ACCOUNT_CLIENT
}
