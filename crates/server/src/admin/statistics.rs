//! `GET /api/oauth2/stats`: how many users, sessions and refresh tokens there are, sign-ins by day, failures by reason,
//! and the addresses they came from. Nothing here reads the audit log to its end: see docs/decisions/0019.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokensmith_store::{AuditRecord, DayOfEvents, Timestamp, Totals};
use utoipa::ToSchema;

use super::rights::Administrator;
use crate::{
    app::App,
    error::{ApiError, no_store},
};

/// Days that are told of.
const DAYS: u64 = 30;
/// The newest failures that reasons and addresses are counted in.
pub(super) const MOST_FAILURES: i64 = 10_000;
/// Addresses of one answer.
const ADDRESSES: usize = 20;
/// So long an answer is kept, whoever asks.
const KEPT: Duration = Duration::from_secs(10);

/// The newest answer of this node.
#[derive(Default)]
pub struct Kept(Mutex<Option<(Timestamp, Statistics)>>);

/// What there is and what happened lately.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Statistics {
    /// When it was counted.
    at: Timestamp,
    users: UserCount,
    sessions: i64,
    tokens: TokenCount,
    /// Of the last 30 days (UTC), oldest first; a day without any is left out.
    days: Vec<Day>,
    /// Of the newest 10,000 failures of these days.
    failures_by_reason: BTreeMap<String, u64>,
    top_addresses: Vec<Address>,
}

#[derive(Clone, Serialize, ToSchema)]
struct UserCount {
    total: i64,
    active: i64,
}

/// Families of refresh tokens: access tokens are not kept, so nobody counts them.
#[derive(Clone, Serialize, ToSchema)]
struct TokenCount {
    active: i64,
    /// Kept for a week.
    revoked: i64,
}

#[derive(Clone, Default, Serialize, ToSchema)]
struct Day {
    /// Its first instant.
    day: Timestamp,
    logins: i64,
    failures: i64,
    rate_limited: i64,
}

#[derive(Clone, Serialize, ToSchema)]
struct Address {
    ip: String,
    failures: u64,
}

/// `GET /api/oauth2/stats`: users, tokens, sign-ins by day, failures by reason, the addresses they came from.
///
/// # Errors
/// 401, 403, 503.
#[utoipa::path(get, path = "/api/oauth2/stats", responses((status = 200, body = Statistics)))]
pub(super) async fn stats(
    State(app): State<App>,
    administrator: Administrator,
) -> Result<Response, ApiError> {
    let now = administrator.context.now;
    let known = app.statistics().0.lock().clone();
    let known = known.filter(|(at, _)| now.since(*at) < KEPT && *at <= now);
    let statistics = match known {
        Some((_, statistics)) => statistics,
        None => counted(&app, now).await?,
    };
    let mut response = Json(statistics).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

async fn counted(app: &App, now: Timestamp) -> Result<Statistics, ApiError> {
    let since = now - Duration::from_secs(DAYS * 86_400);
    let store = app.store();
    let (totals, days, failures) = tokio::try_join!(
        store.totals(now),
        store.noted_by_day(since),
        store.noted("login_failure", (since, later(now)), MOST_FAILURES)
    )?;
    let statistics = Statistics::of(now, totals, &days, &failures);
    *app.statistics().0.lock() = Some((now, statistics.clone()));
    Ok(statistics)
}

/// A millisecond later, so that what happened now is counted.
pub(super) fn later(now: Timestamp) -> Timestamp {
    now + Duration::from_millis(1)
}

impl Statistics {
    fn of(at: Timestamp, totals: Totals, events: &[DayOfEvents], failures: &[AuditRecord]) -> Self {
        let lines: Vec<Value> = failures.iter().map(line).collect();
        let mut by_address: Vec<(String, u64)> = tally(&lines, "ip").into_iter().collect();
        by_address.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        by_address.truncate(ADDRESSES);
        let address = |(ip, failures)| Address { ip, failures };
        Self {
            at,
            users: UserCount {
                total: totals.users,
                active: totals.active_users,
            },
            sessions: totals.live_sessions,
            tokens: TokenCount {
                active: totals.live_families,
                revoked: totals.ended_families,
            },
            days: days(events),
            failures_by_reason: tally(&lines, "outcome"),
            top_addresses: by_address.into_iter().map(address).collect(),
        }
    }
}

fn days(events: &[DayOfEvents]) -> Vec<Day> {
    let mut days: BTreeMap<Timestamp, Day> = BTreeMap::new();
    for DayOfEvents { day, event, count } in events {
        let row = days.entry(*day).or_insert_with(|| Day {
            day: *day,
            ..Day::default()
        });
        match event.as_str() {
            "login_success" => row.logins = *count,
            "login_failure" => row.failures = *count,
            "rate_limit_exceeded" => row.rate_limited = *count,
            _ => {}
        }
    }
    days.into_values().collect()
}

/// The audit line as it was written.
pub(super) fn line(record: &AuditRecord) -> Value {
    serde_json::from_str(&record.body).unwrap_or_default()
}

/// How often each value of a member occurs.
pub(super) fn tally(lines: &[Value], member: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for value in lines.iter().filter_map(|line| line[member].as_str()) {
        *counts.entry(value.to_owned()).or_default() += 1;
    }
    counts
}
