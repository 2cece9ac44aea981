//! Clients as JSON objects, named as in RFC 7591 §2. Secrets are no part of it: they are made, or given as a hash or
//! by a way of their own, and never shown.

use serde_json::{Value, json};
use tokensmith_oauth2::{ClientId, GrantType, RedirectUri, ResourceIndicator, Scope};
use tokensmith_store::{AuthMethod, Client, ClientMetadata, Declaration, Timestamp};

use super::{
    document::{Document, name_for_people, seconds, without_nulls},
    members::Members,
};
use crate::{
    assertion::{algorithm_for_assertions, key_set},
    mtls,
};

/// Most redirect URIs, resources and grants of one client.
const MOST: usize = 100;
/// From a minute to a year.
const IDLE: std::ops::RangeInclusive<u32> = 60..=31_536_000;

pub(super) fn document(client: &Client) -> Document {
    let mut object = without_nulls(json!({
        "client_id": client.client_id,
        "client_name": client.name,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": client.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>(),
        "scope": client.scope,
        "resources": client.resources,
        "redirect_uris": client.redirect_uris,
        "role": client.role,
        "access_token_seconds": client.access_token_seconds,
        "rotates_refresh_tokens": client.rotates_refresh_tokens,
        "is_active": client.is_active,
    }));
    object.extend(metadata_members(&client.metadata));
    object
}

/// What of further metadata is not as it is by default.
fn metadata_members(metadata: &ClientMetadata) -> Document {
    let of = |metadata: &ClientMetadata| without_nulls(json!(metadata));
    let usual = of(&ClientMetadata::default());
    let members = of(metadata).into_iter();
    let chosen = members.filter(|(name, value)| usual.get(name) != Some(value));
    chosen.collect()
}

pub(super) fn read(
    members: &mut Members,
    before: Option<&Declaration>,
    now: Timestamp,
) -> Option<Client> {
    let client_id = members.parsed("client_id", ClientId::parse);
    let client_id = members.required("client_id", client_id);
    let name = members.parsed("client_name", name_for_people);
    let auth_method = members.parsed("token_endpoint_auth_method", str::parse::<AuthMethod>);
    let auth_method = auth_method.unwrap_or(AuthMethod::ClientSecretBasic);
    let grant_types = grant_types(members, auth_method);
    let scope = members.parsed("scope", |text| match text.trim() {
        "" => Ok(Scope::empty()),
        tokens => Scope::parse(tokens),
    });
    let resources = members.list("resources", |uri| ResourceIndicator::parse(uri).map(drop));
    let redirect_uris = members.list("redirect_uris", |uri| RedirectUri::parse(uri).map(drop));
    for (list, name) in [(&resources, "resources"), (&redirect_uris, "redirect_uris")] {
        if list.len() > MOST {
            members.problem(name, format!("{name} may hold {MOST} at most."));
        }
    }
    let role = members.parsed("role", name_for_people);
    let access_token_seconds = seconds(members);
    let rotates = members.optional("rotates_refresh_tokens", "true or false");
    let is_active = members.optional("is_active", "true or false");
    let metadata = metadata(members);
    let before = match before {
        Some(Declaration::Client(before)) => Some(before),
        _ => None,
    };
    check_metadata(members, auth_method, &metadata);
    let had = before.map(|before| before.auth_method);
    if auth_method == AuthMethod::ClientSecretJwt && had != Some(auth_method) {
        let sentence = "client_secret_jwt needs the secret itself, and only its hash is kept here.";
        members.problem("token_endpoint_auth_method", sentence.to_owned());
    }
    let client_id = client_id?;
    Some(Client {
        name: name.unwrap_or_else(|| client_id.to_string()),
        secrets: before
            .map(|before| before.secrets.clone())
            .unwrap_or_default(),
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
        client_id,
        auth_method,
        grant_types,
        scope: scope.unwrap_or_default(),
        resources,
        redirect_uris,
        role,
        access_token_seconds,
        rotates_refresh_tokens: rotates.unwrap_or(true),
        metadata,
        is_active: is_active.unwrap_or(true),
    })
}

fn grant_types(members: &mut Members, method: AuthMethod) -> Vec<GrantType> {
    const NAME: &str = "grant_types";
    let names = members.list(NAME, |name| name.parse::<GrantType>().map(drop));
    let grants: Vec<GrantType> = names.iter().filter_map(|name| name.parse().ok()).collect();
    match (grants.as_slice(), method) {
        ([], AuthMethod::None) => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        ([], _) => vec![GrantType::ClientCredentials],
        (chosen, AuthMethod::None) if chosen.contains(&GrantType::ClientCredentials) => {
            let sentence = "A client that does not authenticate has no tokens of its own.";
            members.problem(NAME, sentence.to_owned());
            grants
        }
        _ => grants,
    }
}

/// Every member that is left. Each is read alone first, so that what is wrong is named.
fn metadata(members: &mut Members) -> ClientMetadata {
    let mut good = Document::new();
    for (name, value) in members.rest() {
        let alone: Document = [(name.clone(), value.clone())].into_iter().collect();
        if let Err(error) = serde_json::from_value::<ClientMetadata>(Value::Object(alone)) {
            let is_unknown = error.to_string().starts_with("unknown field");
            let sentence = if is_unknown {
                format!("{name} is no member of a client.")
            } else {
                format!("{name} has the wrong type or value.")
            };
            members.problem(&name, sentence);
        } else {
            good.insert(name, value);
        }
    }
    serde_json::from_value(Value::Object(good)).unwrap_or_default()
}

/// What must fit together: the method and what it proves itself by.
fn check_metadata(members: &mut Members, method: AuthMethod, metadata: &ClientMetadata) {
    const METHOD: &str = "token_endpoint_auth_method";
    let algorithm = metadata.token_endpoint_auth_signing_alg.as_deref();
    let algorithm = algorithm.map(algorithm_for_assertions).transpose();
    if let Err(error) = &algorithm {
        let name = "token_endpoint_auth_signing_alg";
        members.problem(name, format!("{name}: {error}."));
    }
    if let Some(jwks) = &metadata.jwks
        && let Err(error) = key_set(jwks, algorithm.ok().flatten())
    {
        members.problem("jwks", format!("jwks: {error}."));
    }
    if metadata
        .refresh_token_idle_seconds
        .is_some_and(|seconds| !IDLE.contains(&seconds))
    {
        let name = "refresh_token_idle_seconds";
        let (least, most) = (IDLE.start(), IDLE.end());
        members.problem(
            name,
            format!("{name} must be a number from {least} to {most}."),
        );
    }
    let is_https = |uri: &String| uri.starts_with("https://") && url::Url::parse(uri).is_ok();
    if metadata.jwks_uri.as_ref().is_some_and(|uri| !is_https(uri)) {
        members.problem("jwks_uri", "jwks_uri must be an https URL.".to_owned());
    }
    let has_keys = metadata.jwks.is_some() || metadata.jwks_uri.is_some();
    if method == AuthMethod::PrivateKeyJwt && !has_keys {
        members.problem(METHOD, "private_key_jwt needs jwks or jwks_uri.".to_owned());
    }
    if let Err(error) = mtls::Registration::of(method, metadata) {
        members.problem(METHOD, format!("{}: {error}.", method.as_str()));
    }
}

/// Whether a client with this method needs a secret of its own.
pub fn needs_secret(method: AuthMethod) -> bool {
    matches!(
        method,
        AuthMethod::ClientSecretBasic
            | AuthMethod::ClientSecretPost
            | AuthMethod::ClientSecretBasicOrPost
    )
}
