//! `GET /api/oauth2/security-analysis?hours`: patterns of attack in what was recorded lately.
//!
//! Read from bounded numbers of the newest lines of each kind; where there were more, `is_whole` says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::Uri;
use serde::Serialize;
use serde_json::Value;
use tokensmith_oauth2::Form;
use tokensmith_store::Timestamp;
use utoipa::ToSchema;

use super::{
    rights::Administrator,
    statistics::{MOST_FAILURES, later, line, tally},
};
use crate::{
    app::App,
    error::{ApiError, no_store},
};

const USUAL_HOURS: u64 = 24;
const MOST_HOURS: u64 = 24 * 7;
/// Patterns of one kind.
const MOST: usize = 50;
/// Failures of one address or for one account from which on they are a pattern.
const MANY: u64 = 20;
/// Accounts of one address from which on it tries lists of others' passwords.
const MANY_ACCOUNTS: usize = 10;
/// Addresses of one account from which on it is guessed at by many at once.
const MANY_ADDRESSES: usize = 5;
/// Lines of the rarer kinds that are told of.
const MOST_EVENTS: i64 = 100;

/// What looks like an attack.
#[derive(Serialize, ToSchema)]
pub(super) struct Analysis {
    hours: u64,
    since: Timestamp,
    failures: usize,
    /// `false` when there were more failures than were read: then the oldest are missing.
    is_whole: bool,
    failures_by_reason: BTreeMap<String, u64>,
    patterns: Vec<Pattern>,
    /// The newest of each of the kinds `suspicious_activity`, `refresh_token_reuse` and `rate_limit_exceeded`.
    events: Vec<Value>,
}

/// One pattern: many failures of one address or for one account.
#[derive(Serialize, ToSchema)]
struct Pattern {
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    failures: u64,
    /// Known accounts that an address tried, or addresses that tried an account.
    among: usize,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// One address, many accounts or names that nobody has.
    CredentialStuffing,
    /// One address, few accounts.
    Guessing,
    /// One account, many addresses.
    DistributedGuessing,
}

/// `GET /api/oauth2/security-analysis`: patterns of attack in the last hours.
///
/// # Errors
/// 401, 403, 422, 503.
#[utoipa::path(get, path = "/api/oauth2/security-analysis", params(("hours" = Option<u64>, Query)), responses((status = 200, body = Analysis), (status = 422)))]
pub(super) async fn analysis(
    State(app): State<App>,
    administrator: Administrator,
    uri: Uri,
) -> Result<Response, ApiError> {
    let hours = hours(uri.query().unwrap_or_default())?;
    let now = administrator.context.now;
    let since = now - Duration::from_secs(hours * 3600);
    let window = (since, later(now));
    let failures = app
        .store()
        .noted("login_failure", window, MOST_FAILURES)
        .await?;
    let mut events = Vec::new();
    for kind in [
        "suspicious_activity",
        "refresh_token_reuse",
        "rate_limit_exceeded",
    ] {
        let found = app.store().noted(kind, window, MOST_EVENTS).await?;
        events.extend(found.iter().map(line));
    }
    let lines: Vec<Value> = failures.iter().map(line).collect();
    let most = usize::try_from(MOST_FAILURES).unwrap_or(usize::MAX);
    let mut response = Json(Analysis {
        hours,
        since,
        failures: lines.len(),
        is_whole: lines.len() < most,
        failures_by_reason: tally(&lines, "outcome"),
        patterns: patterns(&lines),
        events,
    })
    .into_response();
    no_store(response.headers_mut());
    Ok(response)
}

fn hours(query: &str) -> Result<u64, ApiError> {
    let refused = || {
        let sentence = format!("hours must be a number from 1 to {MOST_HOURS}.");
        ApiError::unprocessable("hours_out_of_range", sentence)
    };
    let form = Form::parse(query.as_bytes()).map_err(|error| refused().with_detail(error))?;
    let text = form
        .one("hours")
        .map_err(|error| refused().with_detail(error))?;
    let hours = text.map_or(Some(USUAL_HOURS), |text| text.parse().ok());
    let in_range = hours.filter(|hours| (1..=MOST_HOURS).contains(hours));
    in_range.ok_or_else(refused)
}

fn patterns(failures: &[Value]) -> Vec<Pattern> {
    let unknown = failures
        .iter()
        .filter(|line| line["outcome"] == "unknown_user");
    let of_unknown: BTreeSet<&str> = unknown.filter_map(|line| line["ip"].as_str()).collect();
    let of_address = grouped(failures, "ip", "user_id").into_iter();
    let of_address = of_address.filter_map(|(ip, (count, accounts))| {
        let tries_names = accounts.len() >= MANY_ACCOUNTS || of_unknown.contains(ip.as_str());
        let kind = if tries_names {
            Kind::CredentialStuffing
        } else {
            Kind::Guessing
        };
        (count >= MANY).then_some(Pattern {
            kind,
            ip: Some(ip),
            user_id: None,
            failures: count,
            among: accounts.len(),
        })
    });
    let of_account = grouped(failures, "user_id", "ip").into_iter();
    let of_account = of_account.filter_map(|(user, (count, addresses))| {
        (addresses.len() >= MANY_ADDRESSES).then_some(Pattern {
            kind: Kind::DistributedGuessing,
            ip: None,
            user_id: Some(user),
            failures: count,
            among: addresses.len(),
        })
    });
    let mut patterns: Vec<Pattern> = of_address.chain(of_account).collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.failures));
    patterns.truncate(MOST);
    patterns
}

type Groups = BTreeMap<String, (u64, BTreeSet<String>)>;

/// How many lines have each value of a member, and which values of another they have.
fn grouped(lines: &[Value], by: &str, among: &str) -> Groups {
    let mut groups = Groups::new();
    for line in lines {
        let Some(key) = line[by].as_str() else {
            continue;
        };
        let (count, others) = groups.entry(key.to_owned()).or_default();
        *count += 1;
        others.extend(line[among].as_str().map(str::to_owned));
    }
    groups
}
