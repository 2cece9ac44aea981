//! The collections `revoked_tokens`, `audit_logs` and `config`.

use serde_json::Value;
use tokensmith_store::{AuditEvent, ImportAuditLine, RevocationKind, Revoke};

use super::{Document, Import, Outcome, Refusal};

/// What is kept of a free text.
const LONGEST: usize = 500;

/// Settings of the older service, and what they are called here.
const SETTINGS: [(&str, &str); 4] = [
    (
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
    ),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "JWT_REFRESH_TOKEN_EXPIRE_DAYS"),
    ("MAX_REQUESTS_PER_MINUTE", "MAX_REQUESTS_PER_MINUTE"),
    ("TOKEN_ROTATION_ENABLED", "TOKEN_ROTATION_ENABLED"),
];

/// A token that was revoked. As a refresh token it was left out; as an access token it enters the feed, for services
/// that still accept tokens of the older service.
pub(super) async fn revoked(
    import: &Import<'_>,
    mut document: Document,
) -> Result<Outcome, Refusal> {
    let jti = document.text(&["jti", "access_jti"])?;
    let expires = document.time(&["expires_at", "exp", "expires"])?;
    document.drop_all(&[
        "access_token",
        "refresh_token",
        "token",
        "token_hash",
        "token_type",
        "type",
        "client_id",
        "revoked_at",
        "created_at",
        "reason",
        "ip",
        "ip_address",
        "revoked_by",
    ]);
    document.done(import.ignored)?;
    let (Some(subject), Some(expires_at)) = (jti, expires) else {
        return Ok(Outcome::Skipped);
    };
    if expires_at <= import.data.now {
        return Ok(Outcome::Skipped);
    }
    if import
        .data
        .store
        .is_revoked(RevocationKind::Token, &subject)
        .await?
    {
        return Ok(Outcome::Known);
    }
    if !import.dry_run {
        let revoke = Revoke {
            kind: RevocationKind::Token,
            subject,
            expires_at,
            names: tokensmith_store::TokenNames::default(),
            context: import.data.context(),
        };
        import.data.store.write(revoke).await?;
    }
    Ok(Outcome::Brought)
}

/// A line of the older audit log: kept as a line that tells of it, because our own chain begins with us.
pub(super) async fn audit_line(
    import: &Import<'_>,
    mut document: Document,
) -> Result<Outcome, Refusal> {
    let whole = document.text_of_all();
    let kind = document.text(&["event_type", "event", "type", "action"])?;
    let kind = kind.ok_or_else(|| "it names no event".to_owned())?;
    let at = document.time(&["timestamp", "time", "created_at", "at"])?;
    let mut event = AuditEvent::new("imported_audit_line").field("imported_event", cut(&kind));
    event.client_id = document.text(&["client_id", "client"])?.map(|id| cut(&id));
    if let Some(at) = at {
        event = event.field("imported_at", at);
    }
    if let Some(ip) = document.text(&["ip", "ip_address", "client_ip", "address"])? {
        event = event.field("imported_ip", cut(&ip));
    }
    if let Some((_, reason)) = document.take(&["reason", "details", "message", "error"]) {
        let reason = match reason {
            Value::String(text) => text,
            other => other.to_string(),
        };
        event = event.field("imported_reason", cut(&reason));
    }
    document.drop_all(&["user_agent", "success", "level"]);
    document.done(import.ignored)?;
    if import.dry_run {
        return Ok(Outcome::Brought);
    }
    let line = ImportAuditLine {
        digest: tokensmith_server::token::digest_of_token(&whole),
        event,
        context: import.data.context(),
    };
    let is_new = import.data.store.write(line).await?;
    Ok(if is_new {
        Outcome::Brought
    } else {
        Outcome::Known
    })
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// A setting: `{key, value}`, or one document with a member for each. Settings are not stored here, so they are told.
pub(super) fn setting(mut document: Document, told: &mut Vec<String>) -> Result<Outcome, Refusal> {
    if let Some(key) = document.text(&["key", "name"])? {
        let value = document.take(&["value"]).map(|(_, value)| value);
        told.push(line(&key, value.as_ref()));
        return Ok(Outcome::Skipped);
    }
    let names = document.names();
    for name in names {
        let value = document.take(&[&name]).map(|(_, value)| value);
        told.push(line(&name, value.as_ref()));
    }
    Ok(Outcome::Skipped)
}

/// A value is told only of settings that are known to hold no secret.
fn line(key: &str, value: Option<&Value>) -> String {
    let upper = key.to_ascii_uppercase();
    let known = SETTINGS
        .iter()
        .find(|(older, ours)| upper == *older || upper == *ours);
    match (known, value) {
        (Some((_, ours)), Some(Value::Number(number))) => format!("{ours}={number}"),
        (Some((_, ours)), Some(Value::Bool(flag))) => format!("{ours}={flag}"),
        (Some((_, ours)), Some(Value::String(text))) => format!("{ours}={}", cut(text)),
        _ if upper.contains("SECRET") => {
            format!("{key} is a secret: set JWT_SECRET_KEY yourself if services still share it")
        }
        _ => format!("{key} has no meaning here"),
    }
}
