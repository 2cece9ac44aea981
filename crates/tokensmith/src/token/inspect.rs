//! The checks of `token inspect`: all of them, not only up to the first that fails.

use anyhow::Result;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tokensmith_jose::{Expect, Jwk, JwkSet, KeySet, VerifyError};
use tokensmith_oauth2::ClientId;
use tokensmith_server::keys::ACCESS_TOKEN_TYPE;
use tokensmith_store::{SigningKeyRecord, Timestamp, TokenSubjects, UserId};

use crate::data::Data;

/// What a token says and what is wrong with it.
pub(super) struct Inspection {
    pub(super) header: Option<Value>,
    pub(super) claims: Option<Value>,
    pub(super) problems: Vec<String>,
}

impl Inspection {
    pub(super) fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) async fn of(data: &Data, token: &str) -> Result<Self> {
        let mut segments = token.split('.');
        let (header, claims) = (decoded(segments.next()), decoded(segments.next()));
        let mut problems = Vec::new();
        problems.extend(signature_problem(data, token, header.as_ref()).await?);
        if let Some(claims) = &claims {
            problems.extend(time_problems(claims, data.now));
            problems.extend(address_problems(data, claims).await?);
            problems.extend(subject_problem(data, claims).await?);
            if is_revoked(data, claims).await? {
                problems.push("the token is revoked".to_owned());
            }
        }
        Ok(Self {
            header,
            claims,
            problems,
        })
    }
}

/// One segment as JSON. Only for showing: what is trusted is read by the verifier.
fn decoded(segment: Option<&str>) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment?).ok()?).ok()
}

async fn signature_problem(
    data: &Data,
    token: &str,
    header: Option<&Value>,
) -> Result<Option<String>> {
    let records = data.store.signing_keys().await?;
    let is_published =
        |key: &&SigningKeyRecord| key.published_until.is_none_or(|until| data.now < until);
    let published = records.iter().filter(is_published);
    let keys = published
        .filter_map(|key| serde_json::from_str::<Jwk>(&key.public_jwk).ok())
        .collect();
    let keys = KeySet::from_jwks(&JwkSet { keys })?;
    let refusal = match keys.verify(token, Expect::typ(&[ACCESS_TOKEN_TYPE])) {
        Ok(_) => return Ok(None),
        Err(refusal) => refusal,
    };
    let kid = header
        .and_then(|header| header.get("kid"))
        .and_then(Value::as_str);
    let is_ours = kid.is_some_and(|kid| records.iter().any(|key| key.kid == kid));
    Ok(Some(match refusal {
        VerifyError::UnknownKey if is_ours => "the signing key of the token is retired".to_owned(),
        other => other.to_string(),
    }))
}

fn time_problems(claims: &Value, now: Timestamp) -> Vec<String> {
    let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
    let shown = Timestamp::from_seconds;
    let mut problems = Vec::new();
    match seconds("exp") {
        None => problems.push("exp is missing or no number".to_owned()),
        Some(exp) if exp <= now.as_seconds() => {
            problems.push(format!("the token expired at {}", shown(exp)))
        }
        Some(_) => {}
    }
    match seconds("iat") {
        None => problems.push("iat is missing or no number".to_owned()),
        Some(iat) if iat > now.as_seconds() + 60 => problems.push(format!(
            "the token was issued in the future, at {}",
            shown(iat)
        )),
        Some(_) => {}
    }
    problems
}

async fn address_problems(data: &Data, claims: &Value) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let iss = text(claims, "iss").unwrap_or_default();
    let issuer = data.config.issuer.as_str();
    // The issuer of `dev` has the port it was started with.
    let is_ours = if data.config.demo {
        iss.starts_with("http://localhost:")
    } else {
        iss == issuer
    };
    if !is_ours {
        problems.push(format!("iss is {iss:?}, not {issuer:?}"));
    }
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let declared = data.store.resources().await?;
    let is_known = |aud: &&str| {
        *aud == data.config.audience()
            || declared.iter().any(|resource| resource.identifier == *aud)
    };
    if !audiences.iter().any(is_known) {
        problems.push(format!(
            "aud is {audiences:?}, which is no resource of this server"
        ));
    }
    Ok(problems)
}

async fn subject_problem(data: &Data, claims: &Value) -> Result<Option<String>> {
    let sub = text(claims, "sub").unwrap_or_default();
    if let Ok(id) = sub.parse::<UserId>() {
        return Ok(match data.store.user(&id).await? {
            None => Some(format!("there is no user {sub}")),
            Some(user) if !user.is_active => Some(format!("the user {} is disabled", user.email)),
            Some(_) => None,
        });
    }
    let client = match ClientId::parse(sub) {
        Ok(id) => data.store.client(&id).await?,
        Err(_) => None,
    };
    Ok(match client {
        None => Some(format!("there is no client {sub:?}")),
        Some(client) if !client.is_active => Some(format!("the client {sub} is disabled")),
        Some(_) => None,
    })
}

async fn is_revoked(data: &Data, claims: &Value) -> Result<bool> {
    let sub = text(claims, "sub").filter(|sub| sub.parse::<UserId>().is_ok());
    let subjects = TokenSubjects {
        token: text(claims, "jti"),
        grant: text(claims, "grant_id"),
        session: text(claims, "sid"),
        user: sub,
        client: text(claims, "client_id"),
        organization: text(claims, "org_id"),
        issued_at: Timestamp::from_seconds(claims.get("iat").and_then(Value::as_i64).unwrap_or(0)),
    };
    Ok(data.store.token_is_revoked(&subjects).await?)
}

fn text<'c>(claims: &'c Value, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}
