//! What an operator names a grant by: the token itself, a family, a session, a user, or an access token's `jti`. A
//! token's text is only read, not believed: it names what the store is asked about.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tokensmith_server::timeline::{self, Subject};
use tokensmith_store::{Timestamp, TokenNames};

use crate::{data::Data, secret_input, user};

/// What was named.
pub(super) struct Named {
    pub(super) subject: Subject,
    /// What an access token's text says of itself.
    pub(super) names: TokenNames,
    pub(super) expires_at: Option<Timestamp>,
}

/// The argument, or the first line of standard input, where other users of the machine cannot see a token.
pub(super) fn argument(text: Option<String>) -> Result<String> {
    match text {
        Some(text) => Ok(text),
        None => Ok(secret_input::from_stdin()?.expose().trim().to_owned()),
    }
}

impl Named {
    /// What a text names. An access token of a grant names that grant, unless the token alone is `wanted`.
    pub(super) async fn by(data: &Data, text: &str, wanted: Wanted) -> Result<Self> {
        if let Some(claims) = claims(text) {
            return by_claims(data, &claims, wanted).await;
        }
        if text.contains('@') {
            return Ok(Self::bare(Subject::User(user::find(data, text).await?.id)));
        }
        let id = match text.strip_prefix("tkr_") {
            Some(refresh) => refresh.split('.').next().unwrap_or_default(),
            None => text,
        };
        let subject = timeline::resolve(&data.store, id).await?;
        subject
            .map(Self::bare)
            .with_context(|| format!("nothing is known of {id:?}"))
    }

    fn bare(subject: Subject) -> Self {
        Self {
            subject,
            names: TokenNames::default(),
            expires_at: None,
        }
    }
}

/// Whether an access token's text stands for itself or for its grant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Token,
    Grant,
}

/// The claims of what looks like a JWT.
fn claims(text: &str) -> Option<Value> {
    let mut segments = text.split('.');
    let (_, claims, _) = (segments.next()?, segments.next()?, segments.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

async fn by_claims(data: &Data, claims: &Value, wanted: Wanted) -> Result<Named> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let jti = text("jti").context("the token has no jti")?;
    let grant = text("grant_id").or_else(|| text("sid"));
    let known = match &grant {
        Some(grant) if wanted == Wanted::Grant => timeline::resolve(&data.store, grant).await?,
        _ => None,
    };
    let expires_at = claims.get("exp").and_then(Value::as_i64);
    Ok(Named {
        subject: known.unwrap_or(Subject::Token(jti)),
        names: TokenNames {
            user_id: text("sid").and(text("sub")),
            client_id: text("client_id"),
            grant_id: grant,
        },
        expires_at: expires_at.map(Timestamp::from_seconds),
    })
}
