//! The collection `clients`. A plain secret is kept as argon2id, however random it looks, because how it was made is
//! not known; it works as before.

use std::collections::HashMap;

use tokensmith_oauth2::{ClientId, GrantType, Scope, Secret};
use tokensmith_store::{
    AuthMethod, Client, ClientMetadata, ClientSecret, RegisterClient, Registered, SecretHash,
    Timestamp,
};

use super::{Document, Import, Outcome, Refusal};

/// As long as a client may send one.
const LONGEST_SECRET: usize = 1024;

/// Clients that a dry run would bring over.
pub(super) type Known = HashMap<ClientId, Scope>;

enum Kept {
    Plain(Secret),
    Argon2id(String),
}

pub(super) async fn bring(
    import: &Import<'_>,
    mut document: Document,
    known: &mut Known,
) -> Result<Outcome, Refusal> {
    let client_id = client_id(&mut document)?;
    let kept = secret(&mut document)?;
    let client = record(import, &mut document, client_id)?;
    document.drop_all(&["description", "updated_at", "last_used_at", "last_login"]);
    document.done(import.ignored)?;
    if import.data.store.client(&client.client_id).await?.is_some() {
        return Ok(Outcome::Known);
    }
    known.insert(client.client_id.clone(), client.scope.clone());
    if import.dry_run {
        return Ok(Outcome::Brought);
    }
    let hash = match kept {
        Kept::Argon2id(phc) => phc,
        Kept::Plain(secret) => {
            let salt = import.data.entropy.bytes();
            let hash = import.hashing.hash(secret, salt).await;
            hash.map_err(anyhow::Error::from)?
        }
    };
    let secret = ClientSecret {
        id: "imported".to_owned(),
        hash: SecretHash::Argon2id(hash),
        created_at: client.created_at.as_millis(),
        expires_at: None,
    };
    let client = Client {
        secrets: vec![secret],
        ..client
    };
    let context = import.data.context();
    let registration = RegisterClient { client, context };
    match import.data.store.write(registration).await? {
        Registered::Created => Ok(Outcome::Brought),
        Registered::Exists => Ok(Outcome::Known),
    }
}

fn client_id(document: &mut Document) -> Result<ClientId, String> {
    let named = document.text(&["client_id", "clientId"])?;
    let id = named.unwrap_or_else(|| document.id());
    ClientId::parse(&id).map_err(|error| format!("its client id cannot be used: {error}"))
}

fn secret(document: &mut Document) -> Result<Kept, String> {
    let plain = document.text(&["client_secret", "secret"])?;
    let hashed = document.text(&["client_secret_hash", "secret_hash", "hashed_secret"])?;
    match (plain, hashed) {
        (Some(_), Some(_)) => Err("it has a plain and a hashed secret".to_owned()),
        (None, None) => Err("it has no secret".to_owned()),
        (Some(text), None) | (None, Some(text)) if text.starts_with("$argon2id$") => {
            Ok(Kept::Argon2id(text))
        }
        (None, Some(_)) => {
            Err("its secret is hashed, and not by argon2id: give it a new one".to_owned())
        }
        (Some(text), None) if looks_hashed(&text) => {
            Err("its secret looks like a bcrypt hash: give it a new one".to_owned())
        }
        (Some(text), None) if text.is_empty() || text.len() > LONGEST_SECRET => {
            Err("its secret is empty or longer than 1024 bytes".to_owned())
        }
        (Some(text), None) => Ok(Kept::Plain(Secret::from(text))),
    }
}

fn looks_hashed(text: &str) -> bool {
    text.len() == 60
        && ["$2a$", "$2b$", "$2y$"]
            .iter()
            .any(|kind| text.starts_with(kind))
}

fn record(
    import: &Import<'_>,
    document: &mut Document,
    client_id: ClientId,
) -> Result<Client, String> {
    let scope = scope(document.words(&["scopes", "scope", "allowed_scopes"])?)?;
    let name = document.text(&["name", "client_name"])?;
    let is_active = document
        .flag(&["is_active", "active", "enabled"])?
        .unwrap_or(true)
        && !document.flag(&["disabled", "revoked"])?.unwrap_or(false);
    let created_at: Option<Timestamp> = document.time(&["created_at"])?;
    let now = import.data.now;
    Ok(Client {
        name: name.unwrap_or_else(|| client_id.to_string()),
        client_id,
        auth_method: AuthMethod::ClientSecretBasicOrPost,
        secrets: Vec::new(),
        grant_types: vec![GrantType::ClientCredentials, GrantType::RefreshToken],
        scope,
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: document.text(&["role"])?,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: ClientMetadata::default(),
        is_active,
        created_at: created_at.unwrap_or(now).min(now),
        updated_at: now,
    })
}

/// A scope from its words.
pub(super) fn scope(words: Option<Vec<String>>) -> Result<Scope, String> {
    let words = words.unwrap_or_default().join(" ");
    if words.is_empty() {
        return Ok(Scope::empty());
    }
    Scope::parse(&words).map_err(|error| format!("its scope cannot be used: {error}"))
}
