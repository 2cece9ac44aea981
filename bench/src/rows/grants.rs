//! client_credentials grants against the bare endpoint with the same signature, in turns, 32 connections.

use anyhow::{Result, ensure};
use tokensmith_xtask::http::Request;
use tokensmith_xtask::process::free_port;

use super::Effort;
use crate::limit::token::SignatureKind;
use crate::pinned::Pinned;
use crate::subject::{Subject, token_load, token_request};
use crate::table::Row;
use crate::turns;

/// At least so much of the limit's rate.
fn bound(kind: SignatureKind) -> f64 {
    match kind {
        SignatureKind::Es256 => 0.65,
        SignatureKind::Rs256 => 0.90,
    }
}
/// The slowest hundredth, with ES256.
const P99_MS: f64 = 5.0;

pub(crate) fn measure(kind: SignatureKind, effort: Effort) -> Result<Row> {
    let subject = Subject::new(&format!("bench-{}", kind.as_str()), kind.as_str())?
        .with_clients_and_users(1, 0)?;
    let (server, port) = subject.serve()?;
    let limit_port = free_port()?;
    let arguments = [
        "limit-token",
        "--port",
        &limit_port.to_string(),
        "--algorithm",
        &kind.as_str().to_lowercase(),
    ];
    let first = Request::new("GET", limit_port, "/ready");
    let limit = Pinned::start(
        &std::env::current_exe()?,
        &arguments,
        &subject.scratch().path("limit.log"),
        &first,
    )?;
    ensure_same_size(port, limit_port)?;

    let (ours, bare) = (token_load(port, 1), token_load(limit_port, 1));
    server.under(&ours, 2)?;
    limit.under(&bare, 2)?;
    let (mut runs, mut costs, mut limit_costs) = (Vec::new(), Vec::new(), Vec::new());
    let turns = turns::take(
        effort.rounds,
        || {
            let (run, cost) = limit.under(&bare, effort.seconds)?;
            limit_costs.push(cost);
            Ok(run.rate())
        },
        || {
            let (run, cost) = server.under(&ours, effort.seconds)?;
            costs.push(cost);
            runs.push(run);
            Ok(run.rate())
        },
    )?;
    limit.stop()?;
    server.stop()?;

    let (cost, limit_cost) = (
        turns::median(costs.into_iter()),
        turns::median(limit_costs.into_iter()),
    );
    let p50 = turns::median(runs.iter().map(|run| run.p50_ms));
    let p99 = turns::median(runs.iter().map(|run| run.p99_ms));
    let is_quick = kind == SignatureKind::Rs256 || p99 < P99_MS;
    let quick = if kind == SignatureKind::Es256 {
        format!(", p99 < {P99_MS} ms")
    } else {
        String::new()
    };
    Ok(Row {
        what: format!("client_credentials, {}, audited", kind.as_str()),
        limit: format!("{:.0}/s, {limit_cost:.1} µs CPU", turns.limit),
        ours: format!(
            "{:.0}/s, {cost:.1} µs CPU, p50 {p50:.2} ms, p99 {p99:.2} ms",
            turns.ours
        ),
        ratio: format!("{:.1} %", turns.ratio * 100.0),
        bound: format!("≥ {:.0} %{quick}", bound(kind) * 100.0),
        holds: turns.ratio >= bound(kind) && is_quick,
    })
}

/// The limit must sign as much as the server does, or the ratio says nothing.
fn ensure_same_size(ours: u16, limit: u16) -> Result<()> {
    let length = |port| -> Result<usize> {
        let answer = token_request(port, 0).send()?;
        ensure!(
            answer.status == 200,
            "status {}: {}",
            answer.status,
            answer.body
        );
        Ok(answer.json()["access_token"].as_str().map_or(0, str::len))
    };
    let (ours, limit) = (length(ours)?, length(limit)?);
    ensure!(
        ours > 0 && ours.abs_diff(limit) * 20 <= ours,
        "tokens differ in size: ours {ours}, the limit's {limit}"
    );
    Ok(())
}
