//! Secrets in declarative files: by the name of an environment variable, or as a hash. Never as themselves, and never
//! shown. A secret that the client has already changes nothing; another one is added, and the newest former one stays
//! valid for a day, so that services can be given the new one without a pause.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokensmith_oauth2::Secret;
use tokensmith_server::{
    client_auth::hash_secret,
    password::{Hashing, Verdict},
    registry::{Document, needs_secret},
};
use tokensmith_store::{Client, ClientSecret, SecretHash};

use super::file::{Problem, Wanted};
use crate::data::Data;

const ENV: &str = "secret_env";
const SHA256: &str = "secret_sha256";
const ARGON2ID: &str = "secret_argon2id";
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Where a file says that the secret is.
pub(super) enum Given {
    Nothing,
    Plain(Secret),
    Hash(SecretHash),
}

/// Takes what is said of the secret out of a client's object.
pub(super) fn take(wanted: &mut Wanted) -> Result<Given, Problem> {
    let said: Vec<(&str, Value)> = [ENV, SHA256, ARGON2ID]
        .into_iter()
        .filter_map(|name| Some((name, wanted.object.remove(name)?)))
        .collect();
    let (name, value) = match said.as_slice() {
        [] => return Ok(Given::Nothing),
        [(name, value)] => (*name, value),
        [_, (name, _), ..] => {
            return Err(wanted.problem(name, "its secret is given twice."));
        }
    };
    let text = value.as_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| wanted.problem(name, &format!("{name} must be a text.")))?;
    match name {
        ENV => match std::env::var(text) {
            Ok(secret) if !secret.is_empty() => Ok(Given::Plain(Secret::from(secret))),
            _ => Err(wanted.problem(
                name,
                &format!("the environment variable {text} is not set."),
            )),
        },
        SHA256 if is_sha256(text) => Ok(Given::Hash(SecretHash::Sha256(text.to_owned()))),
        ARGON2ID if text.starts_with("$argon2id$") => {
            Ok(Given::Hash(SecretHash::Argon2id(text.to_owned())))
        }
        _ => Err(wanted.problem(name, &format!("{name} is no such hash."))),
    }
}

/// SHA-256 in base64url without padding.
fn is_sha256(text: &str) -> bool {
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() == 43 && text.bytes().all(is_character)
}

/// Gives the client what the file says, unless it has it. Says what is missing.
pub(super) async fn give(
    data: &Data,
    client: &mut Client,
    given: Given,
) -> Result<Option<&'static str>> {
    let wants = needs_secret(client.auth_method);
    let hash = match given {
        Given::Nothing if wants && client.secrets.is_empty() => {
            return Ok(Some(
                "it authenticates by a secret: give secret_env, secret_sha256 or secret_argon2id.",
            ));
        }
        Given::Nothing => return Ok(None),
        _ if !wants => {
            return Ok(Some(
                "it does not authenticate by a secret, and one is given.",
            ));
        }
        Given::Hash(hash) => hash,
        Given::Plain(secret) => {
            let hashing = Hashing::start(&data.config.hashing)?;
            if has(data, &hashing, client, &secret).await? {
                return Ok(None);
            }
            hash_secret(&hashing, &data.entropy, &secret).await?
        }
    };
    if client
        .secrets
        .iter()
        .any(|known| known.hash == hash && is_valid(data, known))
    {
        return Ok(None);
    }
    let newest = client.secrets.iter().rfind(|known| is_valid(data, known));
    let mut secrets: Vec<ClientSecret> = newest.cloned().into_iter().collect();
    let until = (data.now + KEPT).as_millis();
    for secret in &mut secrets {
        secret.expires_at = Some(secret.expires_at.unwrap_or(i64::MAX).min(until));
    }
    secrets.push(ClientSecret {
        id: data.entropy.identifier()[..8].to_owned(),
        hash,
        created_at: data.now.as_millis(),
        expires_at: None,
    });
    client.secrets = secrets;
    Ok(None)
}

fn is_valid(data: &Data, secret: &ClientSecret) -> bool {
    secret.expires_at.is_none_or(|at| at > data.now.as_millis())
}

async fn has(data: &Data, hashing: &Hashing, client: &Client, secret: &Secret) -> Result<bool> {
    for known in client.secrets.iter().filter(|known| is_valid(data, known)) {
        let is_it = match &known.hash {
            SecretHash::Sha256(_) => {
                hash_secret(hashing, &data.entropy, secret).await? == known.hash
            }
            SecretHash::Argon2id(phc) => {
                let verdict =
                    hashing.verify(secret.clone(), Some(phc.clone()), data.entropy.bytes());
                verdict.await? != Verdict::Wrong
            }
            // Kept for assertions alone; nothing is authenticated by showing it.
            SecretHash::Sealed(_) => false,
        };
        if is_it {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The members that make the newest valid secret anew elsewhere.
pub(super) fn hash_member(data: &Data, client: &Client) -> Document {
    let newest = client.secrets.iter().rfind(|secret| is_valid(data, secret));
    let member = newest.and_then(|secret| match &secret.hash {
        SecretHash::Sha256(hash) => Some((SHA256.to_owned(), Value::from(hash.as_str()))),
        SecretHash::Argon2id(hash) => Some((ARGON2ID.to_owned(), Value::from(hash.as_str()))),
        // It opens under this server's master key alone.
        SecretHash::Sealed(_) => None,
    });
    member.into_iter().collect()
}
