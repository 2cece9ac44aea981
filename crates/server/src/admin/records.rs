//! The audit log by page, and the timeline of a refresh token family, a session or a user.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokensmith_store::{AuditPage, AuditRecord};

use super::{kind::nothing, rights::Administrator};
use crate::{
    app::App,
    error::{ApiError, no_store},
    extract::{Page, PathId, next_after},
    timeline::{self, Subject},
};

/// `GET /api/admin/v1/audit`: lines in chain order, after the id named by `after`.
///
/// # Errors
/// 401, 403, 422.
#[utoipa::path(get, path = "/api/admin/v1/audit", params(crate::extract::PageQuery), responses((status = 200, body = crate::openapi::AuditPage), (status = 422)))]
pub(super) async fn audit(
    State(app): State<App>,
    _: Administrator,
    page: Page,
) -> Result<Response, ApiError> {
    let after = match page.after.as_str() {
        "" => 0,
        text => text.parse().map_err(|_| {
            let sentence = "after must be the id of an audit line.";
            ApiError::unprocessable("after_malformed", sentence)
        })?,
    };
    let limit = page.limit;
    let records = app.store().audit_page(AuditPage { after, limit }).await?;
    let next = next_after(&records, limit, |record| record.id().to_string());
    let lines: Vec<Value> = records.iter().map(line).collect();
    let mut response = Json(json!({ "lines": lines, "next": next })).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

fn line(record: &AuditRecord) -> Value {
    let mut line: Value = serde_json::from_str(&record.body).unwrap_or_default();
    if let Value::Object(members) = &mut line {
        members.insert("id".to_owned(), json!(record.id().to_string()));
    }
    line
}

/// `GET /api/admin/v1/timeline/{id}`: what was recorded about a refresh token family, a session or a user.
///
/// # Errors
/// 401, 403, 404 when nothing is recorded under this id.
#[utoipa::path(get, path = "/api/admin/v1/timeline/{id}", responses((status = 200, body = Value)))]
pub(super) async fn timeline(
    State(app): State<App>,
    administrator: Administrator,
    PathId(id): PathId<uuid::Uuid>,
) -> Result<Response, ApiError> {
    let id = id.to_string();
    let subject = timeline::resolve(app.store(), &id).await?;
    // Looking for one access token reads the whole log: for operators alone.
    let subject = subject.filter(|subject| !matches!(subject, Subject::Token(_)));
    let subject = subject.ok_or_else(nothing)?;
    let timeline = timeline::of(app.store(), subject, administrator.context.now).await?;
    let mut response = Json(timeline.ok_or_else(nothing)?).into_response();
    no_store(response.headers_mut());
    Ok(response)
}
