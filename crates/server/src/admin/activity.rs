//! `GET /api/oauth2/audit-logs`: for a user what was recorded about them, for an administrator about anybody. Newest
//! first. The whole log in its own order is at `/api/admin/v1/audit`.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::Uri;
use serde::Serialize;
use serde_json::Value;
use tokensmith_oauth2::Form;
use tokensmith_store::{AuditRecord, NOTED, Timestamp, UserId};
use utoipa::ToSchema;

use super::{
    rights::may_read,
    statistics::{later, line},
};
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, no_store},
};

const USUAL: i64 = 50;
const MOST: i64 = 200;

/// One page of audit lines, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivityPage {
    /// Each has `at` and `event`, and what else there is to say.
    events: Vec<Value>,
    /// What to send as `before` for the next page. Without a filter there is none: see `/api/admin/v1/audit`.
    next: Option<Timestamp>,
}

/// Which lines are asked for.
struct Question {
    limit: i64,
    before: Option<Timestamp>,
    user_id: Option<UserId>,
    event: Option<&'static str>,
}

/// `GET /api/oauth2/audit-logs`: what was recorded about the caller; for administrators, about anybody.
///
/// # Errors
/// 401, 403 for another user's lines, 422, 503.
#[utoipa::path(get, path = "/api/oauth2/audit-logs", params(("limit" = Option<i64>, Query), ("before" = Option<Timestamp>, Query), ("user_id" = Option<UserId>, Query), ("event" = Option<String>, Query)), responses((status = 200, body = ActivityPage), (status = 422)))]
pub(super) async fn audit_logs(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut question = Question::parse(uri.query().unwrap_or_default())?;
    if !may_read(&app, &caller).await? {
        question.only_of(caller)?;
    }
    let before = question.before.unwrap_or(later(context.now));
    let found = question.find(&app, before).await?;
    let is_full = i64::try_from(found.len()).is_ok_and(|length| length >= question.limit);
    let next = found.last().map(|record| record.at);
    let page = ActivityPage {
        events: found.iter().map(line).collect(),
        next: next.filter(|_| is_full && question.has_filter()),
    };
    let mut response = Json(page).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

impl Question {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let unreadable = |error| {
            let sentence = format!("The query is not acceptable: {error}.");
            ApiError::unprocessable("malformed_query", sentence)
        };
        let form = Form::parse(query.as_bytes()).map_err(unreadable)?;
        let one = |name| form.one(name).map_err(unreadable);
        Ok(Self {
            limit: one("limit")?.map_or(Ok(USUAL), limit)?,
            before: one("before")?.map(instant).transpose()?,
            user_id: one("user_id")?.map(user).transpose()?,
            event: one("event")?.map(event).transpose()?,
        })
    }

    /// Who may not read everything reads of themselves, as a person.
    fn only_of(&mut self, caller: Caller) -> Result<(), ApiError> {
        let user = caller.user()?.user_id;
        if self.user_id.as_ref().is_some_and(|asked| *asked != user) {
            let sentence = "You may read what is recorded about yourself.";
            return Err(ApiError::forbidden("records_of_another", sentence));
        }
        self.user_id = Some(user);
        Ok(())
    }

    fn has_filter(&self) -> bool {
        self.user_id.is_some() || self.event.is_some()
    }

    async fn find(&self, app: &App, before: Timestamp) -> Result<Vec<AuditRecord>, ApiError> {
        let (store, limit) = (app.store(), self.limit);
        Ok(match (&self.user_id, self.event) {
            (Some(user), None) => {
                let user = user.as_str();
                store.audit_of_user_before(user, before, limit).await?
            }
            (Some(user), Some(event)) => {
                let user = user.as_str();
                let found = store.audit_of_user_before(user, before, MOST).await?;
                let of_kind = found.into_iter().filter(|record| record.event == event);
                of_kind.take(usize::try_from(limit).unwrap_or(0)).collect()
            }
            (None, Some(event)) => {
                let window = (Timestamp::from_millis(0), before);
                store.noted(event, window, limit).await?
            }
            (None, None) => store.audit_newest(limit).await?,
        })
    }
}

fn limit(text: &str) -> Result<i64, ApiError> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=MOST).contains(number))
        .ok_or_else(|| {
            let sentence = format!("limit must be a number from 1 to {MOST}.");
            ApiError::unprocessable("limit_out_of_range", sentence)
        })
}

fn instant(text: &str) -> Result<Timestamp, ApiError> {
    let sentence = "before must be an instant such as 2026-11-20T18:12:00Z.";
    Timestamp::parse(text).ok_or_else(|| ApiError::unprocessable("before_malformed", sentence))
}

fn user(text: &str) -> Result<UserId, ApiError> {
    let sentence = "user_id must be a UUID.";
    let malformed = |_| ApiError::unprocessable("user_id_malformed", sentence);
    text.parse().map_err(malformed)
}

fn event(text: &str) -> Result<&'static str, ApiError> {
    let known = NOTED.into_iter().find(|known| *known == text);
    known.ok_or_else(|| {
        let sentence = format!("event must be one of {}.", NOTED.join(", "));
        ApiError::unprocessable("event_unknown", sentence)
    })
}
