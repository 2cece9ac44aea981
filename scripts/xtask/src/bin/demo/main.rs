//! Plays the chat flow over real HTTP with the real binaries and prints every request and answer: Alice posts a message,
//! the chat service fetches its own token and asks who is in the group; then everything that must be refused.
//! Changes nothing outside its temporary directory. Ends with a failure when any answer differs.

mod play;
mod stage;

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::play::{Expect, Play};
use crate::stage::{SECRET, SERVICE, Stage};

const PASSWORD: &str = "correct horse battery staple";
const GROUP: &str = "E2E Test Group";

fn main() -> ExitCode {
    match play() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every answer was as promised.
fn play() -> Result<bool> {
    let stage = Stage::set()?;
    let mut play = Play::new();
    let facts = alice_finds_the_group(&mut play, &stage)?;
    alice_posts_a_message(&mut play, &stage, &facts)?;
    behind_the_scenes(&mut play, &stage, &facts)?;
    refusals(&mut play, &stage, &facts)?;
    Ok(play.end())
}

/// What the first act finds out and the others use.
struct Facts {
    alice: String,
    alice_id: String,
    org_id: String,
    group_id: String,
    bob_id: String,
}

impl Facts {
    fn messages(&self) -> String {
        format!("/api/chat/groups/{}/messages", self.group_id)
    }

    fn group(&self) -> String {
        format!("/api/auth/groups/{}", self.group_id)
    }
}

fn alice_finds_the_group(play: &mut Play, stage: &Stage) -> Result<Facts> {
    play.act("Alice finds her group");
    let login = json!({"email": "alice.admin@example.com", "password": PASSWORD});
    let signed_in = play.scene(
        "Alice signs in",
        &stage.auth("POST", "/auth/login").json(&login),
        &[
            Expect::Status(200),
            Expect::Is("/token_type", json!("bearer")),
            Expect::Present("/refresh_token"),
        ],
    )?;
    let [alice, alice_id, org_id] =
        ["/access_token", "/user_id", "/org_id"].map(|path| signed_in.text(path));
    let (alice, alice_id, org_id) = (alice?, alice_id?, org_id?);

    play.scene(
        "Alice sees her organization",
        &stage.auth("GET", "/api/auth/organizations").bearer(&alice),
        &[
            Expect::Status(200),
            Expect::Holds("name", json!("Activity")),
        ],
    )?;
    let groups = play.scene(
        "Alice finds the group",
        &stage
            .auth("GET", &format!("/api/auth/organizations/{org_id}/groups"))
            .bearer(&alice),
        &[Expect::Status(200), Expect::Holds("name", json!(GROUP))],
    )?;
    let group_id = groups.found("name", &json!(GROUP), "id")?;

    let members = play.scene(
        "Alice sees who is in it",
        &stage
            .auth("GET", &format!("/api/auth/groups/{group_id}/members"))
            .bearer(&alice),
        &[
            Expect::Status(200),
            Expect::Holds("email", json!("bob@example.com")),
        ],
    )?;
    let bob_id = members.found("email", &json!("bob@example.com"), "user_id")?;
    Ok(Facts {
        alice,
        alice_id,
        org_id,
        group_id,
        bob_id,
    })
}

fn alice_posts_a_message(play: &mut Play, stage: &Stage, facts: &Facts) -> Result<()> {
    play.act("Alice posts a message");
    let message = json!({"content": "Hello, group!", "sender_id": facts.alice_id});
    let stored = play.scene(
        "She posts it through the chat service, which stores it with the group's organization",
        &stage
            .chat("POST", &facts.messages())
            .bearer(&facts.alice)
            .json(&message),
        &[
            Expect::Status(201),
            Expect::Is("/org_id", json!(facts.org_id)),
            Expect::Is("/group_id", json!(facts.group_id)),
            Expect::Is("/sender_id", json!(facts.alice_id)),
            Expect::Is("/content", json!("Hello, group!")),
            Expect::Present("/created_at"),
        ],
    )?;
    play.scene(
        "She reads the group's messages",
        &stage.chat("GET", &facts.messages()).bearer(&facts.alice),
        &[
            Expect::Status(200),
            Expect::Holds("id", json!(stored.text("/id")?)),
        ],
    )?;
    Ok(())
}

/// The same three requests the chat service made by itself before it stored the message.
fn behind_the_scenes(play: &mut Play, stage: &Stage, facts: &Facts) -> Result<()> {
    play.act("What the chat service did meanwhile");
    let token = service_token(
        play,
        stage,
        "It fetched its service token",
        "groups:read members:read",
    )?;
    play.scene(
        "It asked for the group, and learned its organization",
        &stage.auth("GET", &facts.group()).bearer(&token),
        &[
            Expect::Status(200),
            Expect::Is("/org_id", json!(facts.org_id)),
            Expect::Is("/name", json!(GROUP)),
        ],
    )?;
    play.scene(
        "It asked who is a member",
        &stage
            .auth("GET", &format!("{}/members", facts.group()))
            .bearer(&token),
        &[
            Expect::Status(200),
            Expect::Holds("user_id", json!(facts.alice_id)),
            Expect::Holds("user_id", json!(facts.bob_id)),
        ],
    )?;
    Ok(())
}

fn service_token(play: &mut Play, stage: &Stage, title: &str, scope: &str) -> Result<String> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", SERVICE),
        ("client_secret", SECRET),
        ("scope", scope),
    ];
    let answer = play.scene(
        title,
        &stage.auth("POST", "/oauth/token").form(&form),
        &[
            Expect::Status(200),
            Expect::Is("/token_type", json!("Bearer")),
            Expect::Is("/expires_in", json!(900)),
            Expect::Is("/scope", json!(scope)),
        ],
    )?;
    answer.text("/access_token")
}

fn refusals(play: &mut Play, stage: &Stage, facts: &Facts) -> Result<()> {
    play.act("What is refused");
    let message = |sender: &str| json!({"content": "Let me in", "sender_id": sender});
    let post = |token: &str, sender: &str| {
        stage
            .chat("POST", &facts.messages())
            .bearer(token)
            .json(&message(sender))
    };
    play.scene(
        "Nobody: a message without a token",
        &stage
            .chat("POST", &facts.messages())
            .json(&message(&facts.alice_id)),
        &[
            Expect::Status(401),
            Expect::Header("www-authenticate", "Bearer"),
        ],
    )?;
    play.scene(
        "A tampered token",
        &post(&tampered(&facts.alice), &facts.alice_id),
        &[
            Expect::Status(401),
            Expect::Header("www-authenticate", "invalid_token"),
        ],
    )?;
    play.scene(
        "Alice in Bob's name",
        &post(&facts.alice, &facts.bob_id),
        &[Expect::Status(403)],
    )?;

    let login = json!({"email": "mallory@example.com", "password": PASSWORD});
    let mallory = play.scene(
        "Mallory of Globex signs in",
        &stage.auth("POST", "/auth/login").json(&login),
        &[Expect::Status(200)],
    )?;
    let (token, id) = (mallory.text("/access_token")?, mallory.text("/user_id")?);
    play.scene(
        "Mallory is not a member of the group",
        &post(&token, &id),
        &[Expect::Status(403)],
    )?;
    play.scene(
        "For Mallory a group of another organization does not exist",
        &stage.auth("GET", &facts.group()).bearer(&token),
        &[Expect::Status(404), Expect::Present("/detail")],
    )?;

    let narrow = service_token(
        play,
        stage,
        "A service takes a token for members only",
        "members:read",
    )?;
    play.scene(
        "That token does not open the group",
        &stage.auth("GET", &facts.group()).bearer(&narrow),
        &[
            Expect::Status(403),
            Expect::Header("www-authenticate", "insufficient_scope"),
            Expect::Header("www-authenticate", "groups:read"),
        ],
    )?;
    play.scene(
        "After all that the group holds one message",
        &stage.chat("GET", &facts.messages()).bearer(&facts.alice),
        &[Expect::Status(200), Expect::Count(1)],
    )?;
    Ok(())
}

/// The token with one bit of its signature turned.
fn tampered(token: &str) -> String {
    let at = token.len() - 20;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tampered_token_differs_in_one_character() {
        let token = "a".repeat(100);
        let differing = tampered(&token)
            .chars()
            .zip(token.chars())
            .filter(|(a, b)| a != b)
            .count();
        assert_eq!(differing, 1);
    }
}
