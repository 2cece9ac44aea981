//! `GET /oauth/revocations?after=ID&wait=SECONDS`: the feed of revocations for services that validate tokens
//! themselves, by long poll.
//!
//! For clients that authenticate with HTTP Basic and are registered for a resource; a client of no resource validates
//! nothing. The lines name tokens, families, sessions, users and clients by id alone. A cursor beyond the newest line
//! is one of another time of this database, so the feed begins anew.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Uri};
use serde::Serialize;
use tokensmith_oauth2::{ErrorCode, Form};
use tokensmith_store::{AuditEvent, RevocationKind, RevocationRecord, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    app::App,
    client_auth::authenticate,
    context::RequestContext,
    error::{OAuthError, no_store},
    registry::RegisteredClient,
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(revocations))]
pub(crate) struct Api;

/// Lines of one answer at most.
const PAGE: usize = 1000;
/// The longest wait for a line.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// How often the feed's end is looked at while somebody waits. One look serves everybody who waits on this node.
const TICK: Duration = Duration::from_millis(100);
/// How often who waits looks whether the server is stopping.
const GLANCE: Duration = Duration::from_millis(500);

/// Where the feed ends, as far as this node has seen.
#[derive(Debug, Default)]
pub struct FeedEnd(watch::Sender<i64>);

/// Looks at the feed's end while somebody waits for it to move. Runs until the server stops.
pub async fn follow(app: App) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let end = &app.feed_end().0;
        if end.receiver_count() == 0 {
            continue;
        }
        match app.store().revocation_cursor().await {
            Ok(cursor) => {
                end.send_if_modified(|seen| std::mem::replace(seen, cursor) != cursor);
            }
            Err(error) => {
                tracing::warn!(error = %error, "the end of the revocation feed cannot be read");
            }
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Question {
    after: i64,
    wait: Duration,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Revocations)]
struct Page {
    revocations: Vec<Line>,
    /// What to ask after next.
    next: i64,
    /// Whether there was more than fits an answer.
    more: bool,
}

/// Times are seconds since 1970. A revocation of a user or a client means tokens issued up to `revoked_at`.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Revocation)]
struct Line {
    id: i64,
    kind: RevocationKind,
    subject: String,
    revoked_at: i64,
    expires_at: i64,
}

/// `GET /oauth/revocations`: what was revoked after a line, for services that validate tokens themselves.
///
/// # Errors
/// `invalid_client`, `unauthorized_client` for a client of no resource, `invalid_request`, 503.
#[utoipa::path(get, path = "/oauth/revocations", params(("after" = Option<i64>, Query), ("wait" = Option<u64>, Query)), responses((status = 200, body = Page), (status = 400), (status = 401), (status = 503)), security(("client" = [])))]
pub async fn revocations(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, OAuthError> {
    // Credentials in the URL are never looked at.
    let no_form = Form::parse(b"")?;
    let client = authenticate(&app, &headers, &no_form, &context)
        .await
        .map_err(challenged)?;
    require_resource(&app, &client, &context).await?;
    let question = Question::parse(uri.query().unwrap_or_default(), &app)?;
    let mut response = Json(page(&app, question).await?).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

fn challenged(error: OAuthError) -> OAuthError {
    match error.code() {
        ErrorCode::InvalidClient => error.challenge_basic(),
        _ => error,
    }
}

async fn require_resource(
    app: &App,
    client: &RegisteredClient,
    context: &RequestContext,
) -> Result<(), OAuthError> {
    if !client.client.resources.is_empty() {
        return Ok(());
    }
    let refusal = "feed_without_resource";
    let client = &client.client.client_id;
    let event = AuditEvent::new("revocation_feed_refused")
        .client(client)
        .outcome(refusal);
    let context = context.audit(Some(format!("client:{client}")));
    app.audit(context, event).await?;
    let sentence = "The feed is for clients that are registered for a resource.";
    Err(OAuthError::new(
        ErrorCode::UnauthorizedClient,
        refusal,
        sentence,
    ))
}

impl Question {
    fn parse(query: &str, app: &App) -> Result<Self, OAuthError> {
        let form = Form::parse(query.as_bytes())?;
        let number = |name| -> Result<i64, OAuthError> {
            let Some(text) = form.one(name)? else {
                return Ok(0);
            };
            let number = text.parse().ok().filter(|number| *number >= 0);
            number.ok_or_else(|| {
                let sentence = format!("{name} must be a whole number from 0.");
                OAuthError::invalid_request("number_malformed", sentence)
            })
        };
        let wait = Duration::from_secs(number("wait")?.unsigned_abs());
        // The answer must be on its way before the listener's own limit.
        let longest = LONGEST_WAIT.min(app.config().limits.request_timeout * 4 / 5);
        Ok(Self {
            after: number("after")?,
            wait: wait.min(longest),
        })
    }
}

/// The lines there are, or the first that come while the caller waits.
async fn page(app: &App, question: Question) -> Result<Page, StoreError> {
    // Listen before looking: a line that comes in between is heard of.
    let mut end = app.feed_end().0.subscribe();
    let deadline = Instant::now() + question.wait;
    loop {
        let page = look(app, question.after).await?;
        let is_news = !page.revocations.is_empty() || page.next < question.after;
        if is_news || !moves_before(app, &mut end, deadline).await {
            return Ok(page);
        }
    }
}

/// Whether the feed's end moved before the deadline and before the server stops.
async fn moves_before(app: &App, end: &mut watch::Receiver<i64>, deadline: Instant) -> bool {
    while !app.readiness().is_draining() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if let Ok(moved) = timeout(left.min(GLANCE), end.changed()).await {
            return moved.is_ok();
        }
    }
    false
}

async fn look(app: &App, after: i64) -> Result<Page, StoreError> {
    let mut lines = lines(app, after).await?;
    let mut next = after;
    if lines.is_empty() {
        let newest = app.store().revocation_cursor().await?;
        if newest < after {
            lines = self::lines(app, 0).await?;
            next = newest;
        }
    }
    let more = lines.len() > PAGE;
    lines.truncate(PAGE);
    Ok(Page {
        next: lines.last().map_or(next, |line| line.id),
        revocations: lines.into_iter().map(Line::from).collect(),
        more,
    })
}

/// One line more than fits, which tells whether there is more.
async fn lines(app: &App, after: i64) -> Result<Vec<RevocationRecord>, StoreError> {
    app.store().revocations_since(after, PAGE as i64 + 1).await
}

impl From<RevocationRecord> for Line {
    fn from(record: RevocationRecord) -> Self {
        Self {
            id: record.id,
            kind: record.kind,
            subject: record.subject,
            revoked_at: record.revoked_at.as_seconds(),
            expires_at: record.expires_at.as_seconds(),
        }
    }
}
