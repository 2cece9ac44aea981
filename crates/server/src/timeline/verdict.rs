//! The plain sentence at the end of a timeline: why it ended, or that it has not, and what was refused last.

use std::time::Duration;

use tokensmith_oauth2::ClientId;
use tokensmith_store::{FamilyId, RefreshFamily, SessionId, Store, StoreError, Timestamp};

use super::{
    Entry, Subject,
    words::{reason, rule},
};

pub(super) async fn of(
    store: &Store,
    subject: &Subject,
    entries: &[Entry],
    now: Timestamp,
) -> Result<String, StoreError> {
    let sentence = match subject {
        Subject::Family(family) => of_family(store, family, entries, now).await?,
        Subject::Session(session) => of_session(store, session, entries, now).await?,
        Subject::User(user) => {
            let live = store.sessions_of(user, now, 1000).await?.len();
            format!("The user has {live} live sessions. {}", last_end(entries))
        }
        Subject::Token(jti) => of_token(jti, entries),
    };
    Ok(match last_refusal(entries) {
        Some(refusal) => format!("{} {refusal}", sentence.trim_end()),
        None => sentence.trim_end().to_owned(),
    })
}

/// What is known of a family from its row, or from its lines when the row was swept.
struct Ends {
    absolute: Option<Timestamp>,
    idle: Option<Timestamp>,
}

async fn of_family(
    store: &Store,
    family: &FamilyId,
    entries: &[Entry],
    now: Timestamp,
) -> Result<String, StoreError> {
    let row = store.refresh_family(family).await?;
    let own = |entry: &&Entry| entry.member("grant_id") == family.as_str();
    let ending = |entry: &&Entry| {
        entry.event() == "refresh_token_reuse"
            || (entry.event() == "token_revoked" && entry.member("kind") == "grant")
    };
    if let Some(end) = entries.iter().filter(own).find(ending) {
        return Ok(ended("family", end));
    }
    if let Some((word, at)) = row.as_ref().and_then(revoked) {
        return Ok(format!(
            "The family ended because {}, at {at}.",
            reason(word)
        ));
    }
    let ends = ends(row.as_ref(), entries);
    if let Some(sentence) = over(&ends, now) {
        return Ok(sentence);
    }
    match row {
        None => {
            Ok("The family is not there any more: its client or its user was removed.".to_owned())
        }
        Some(family) => live(store, &family).await,
    }
}

fn revoked(family: &RefreshFamily) -> Option<(&str, Timestamp)> {
    Some((family.revoked_reason.as_deref()?, family.revoked_at?))
}

/// The ending line in a sentence: why, when, and who did it.
fn ended(what: &str, end: &Entry) -> String {
    let mut sentence = match end.event() {
        "refresh_token_reuse" => format!("The {what} ended because {}", reuse(end)),
        _ => format!("The {what} ended because {}", reason(end.member("reason"))),
    };
    sentence.push_str(&format!(", at {}", end.at));
    for (name, word) in [("actor", " by "), ("ip", " from ")] {
        match end.member(name) {
            "" => {}
            value => sentence.push_str(&format!("{word}{value}")),
        }
    }
    sentence.push('.');
    sentence
}

fn reuse(end: &Entry) -> String {
    let (presented, newest) = (end.member("presented"), end.member("generation"));
    let why_not_honest = match end.member("successor_used_at") {
        "" => format!(
            "the newest was generation {newest}, made at {}",
            end.member("rotated_at")
        ),
        used => format!("its successor had been in use since {used}"),
    };
    format!(
        "the spent refresh token of generation {presented} was presented again, so two parties held it ({why_not_honest})"
    )
}

fn ends(row: Option<&RefreshFamily>, entries: &[Entry]) -> Ends {
    if let Some(row) = row {
        return Ends {
            absolute: Some(row.expires_at),
            idle: Some(row.idle_expires_at),
        };
    }
    let opened = entries
        .iter()
        .find(|entry| entry.event() == "refresh_family_opened");
    let instant = |name: &str| opened.and_then(|entry| Timestamp::parse(entry.member(name)));
    let rotated = entries
        .iter()
        .rfind(|entry| entry.event() == "refresh_token_rotated")
        .or(opened);
    // The span of the opening counts from each rotation anew.
    let span = instant("idle_expires_at").zip(opened);
    let span = span.map(|(idle, opened)| idle.since(opened.at));
    Ends {
        absolute: instant("expires_at"),
        idle: rotated
            .zip(span)
            .map(|(rotated, span): (&Entry, Duration)| rotated.at + span),
    }
}

fn over(ends: &Ends, now: Timestamp) -> Option<String> {
    let reached = |end: Option<Timestamp>| end.filter(|end| *end <= now);
    if let Some(idle) =
        reached(ends.idle).filter(|idle| ends.absolute.is_none_or(|end| *idle < end))
    {
        return Some(format!(
            "The family ended because its refresh token lay unused for too long, at {idle}."
        ));
    }
    let absolute = reached(ends.absolute)?;
    Some(format!(
        "The family ended because it reached its longest life, at {absolute}."
    ))
}

async fn live(store: &Store, family: &RefreshFamily) -> Result<String, StoreError> {
    let client: &ClientId = &family.client_id;
    let is_active = store.client(client).await?.map(|client| client.is_active);
    let but = match is_active {
        Some(true) => String::new(),
        _ => format!(" But its client {client} is disabled, so every presentation is refused."),
    };
    Ok(format!(
        "The family has not ended: its newest refresh token is generation {}, made at {}, good until {} if unused and until {} at the latest.{but}",
        family.generation, family.rotated_at, family.idle_expires_at, family.expires_at
    ))
}

async fn of_session(
    store: &Store,
    session: &SessionId,
    entries: &[Entry],
    now: Timestamp,
) -> Result<String, StoreError> {
    let own = |entry: &&Entry| {
        entry.event() == "session_ended" && entry.member("grant_id") == session.as_str()
    };
    if let Some(end) = entries.iter().find(own) {
        return Ok(ended("session", end));
    }
    Ok(match store.session(session).await? {
        Some(row) => match (&row.ended_reason, row.ended_at) {
            (Some(word), Some(at)) => {
                format!("The session ended because {}, at {at}.", reason(word))
            }
            _ if row.expires_at <= now => format!(
                "The session ended because it reached its longest life, at {}.",
                row.expires_at
            ),
            _ => format!(
                "The session has not ended: it is good until {}. {}",
                row.expires_at,
                last_end(entries)
            ),
        },
        None => {
            "The session is not there any more: it was over and swept, or its user was removed."
                .to_owned()
        }
    })
}

fn of_token(jti: &str, entries: &[Entry]) -> String {
    let revoked = |entry: &&Entry| entry.event() == "token_revoked" && entry.member("jti") == jti;
    match entries.iter().find(revoked) {
        Some(end) => format!(
            "The token was revoked at {} by {}.",
            end.at,
            end.member("actor")
        ),
        None => "The token itself was not revoked; what ends its family or session ends it too."
            .to_owned(),
    }
}

/// What ended last among these lines.
fn last_end(entries: &[Entry]) -> String {
    let is_end = |entry: &&Entry| {
        matches!(entry.event(), "session_ended" | "refresh_token_reuse")
            || (entry.event() == "token_revoked" && entry.member("kind") == "grant")
    };
    match entries.iter().rfind(is_end) {
        Some(end) if end.event() == "session_ended" => {
            format!("What ended last: {}", ended("session", end))
        }
        Some(end) => format!("What ended last: {}", ended("family", end)),
        None => String::new(),
    }
}

/// A refusal after which nothing was given any more.
fn last_refusal(entries: &[Entry]) -> Option<String> {
    let last = entries.last().filter(|entry| entry.is_refusal())?;
    Some(format!(
        "The last request was refused at {}: {}.",
        last.at,
        rule(last.member("outcome"))
    ))
}
