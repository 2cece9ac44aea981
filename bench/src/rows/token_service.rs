//! Rotation, introspection and revocation beside what a program could do at most, in turns.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use rusqlite::Connection;
use tokensmith_xtask::http::Request;
use tokensmith_xtask::process::free_port;

use super::Effort;
use crate::limit::rotation;
use crate::pinned::Pinned;
use crate::subject::{SECRET, Subject, member, refresh_tokens, token_load, token_request};
use crate::table::Row;
use crate::turns;
use crate::wrk::{Load, Run};

/// Rotations: at least so much of the limit's rate.
const ROTATION: f64 = 0.60;
/// Introspections: at least so much of the limit's rate (45,000 of 134,000).
const INTROSPECTION: f64 = 45_000.0 / 134_000.0;
/// Revocations: at least so much of the rate of rotations.
const REVOCATION: f64 = 1.0;
/// A rotation with many families costs at most so much of one with few.
const FAMILIES: f64 = 1.2;
const FEW_FAMILIES: u32 = 10_000;
const MANY_FAMILIES: u32 = 10_000_000;
/// Families that are rotated beside those that only lie there.
const ACTIVE_FAMILIES: usize = 2_000;

/// A server under test, and what it is asked.
struct Side {
    server: Pinned,
    load: Box<dyn Fn() -> Result<Load>>,
    runs: Vec<Run>,
    costs: Vec<f64>,
}

impl Side {
    fn new(server: Pinned, load: impl Fn() -> Result<Load> + 'static) -> Result<Self> {
        server.under(&load()?, 2)?;
        Ok(Self {
            server,
            load: Box::new(load),
            runs: Vec::new(),
            costs: Vec::new(),
        })
    }

    fn run(&mut self, seconds: u32) -> Result<f64> {
        let (run, cost) = self.server.under(&(self.load)()?, seconds)?;
        self.runs.push(run);
        self.costs.push(cost);
        Ok(run.rate())
    }

    fn cost(&self) -> f64 {
        turns::median(self.costs.iter().copied())
    }

    fn described(&self, rate: f64) -> String {
        let p50 = turns::median(self.runs.iter().map(|run| run.p50_ms));
        let p99 = turns::median(self.runs.iter().map(|run| run.p99_ms));
        let cost = self.cost();
        format!("{rate:.0}/s, {cost:.1} µs CPU, p50 {p50:.2} ms, p99 {p99:.2} ms")
    }
}

/// Both in turns; what each reached and the ratio of the second to the first.
fn compare(
    effort: Effort,
    what: String,
    bound: f64,
    [mut limit, mut ours]: [Side; 2],
) -> Result<Row> {
    let turns = turns::take(
        effort.rounds,
        || limit.run(effort.seconds),
        || ours.run(effort.seconds),
    )?;
    let row = Row {
        what,
        limit: limit.described(turns.limit),
        ours: ours.described(turns.ours),
        ratio: format!("{:.1} %", turns.ratio * 100.0),
        bound: format!("≥ {:.0} %", bound * 100.0),
        holds: turns.ratio >= bound,
    };
    limit.server.stop()?;
    ours.server.stop()?;
    Ok(row)
}

fn subject(name: &str) -> Result<Subject> {
    Subject::new(name, "ES256")?.with_clients_and_users(1, 0)
}

fn limit_program(subject: &Subject, arguments: &[&str], port: u16) -> Result<Pinned> {
    Pinned::start(
        &std::env::current_exe()?,
        arguments,
        &subject.scratch().path("limit.log"),
        &Request::new("GET", port, "/ready"),
    )
}

fn rotation_load(port: u16, tokens: PathBuf, connections: u32) -> Load {
    Load {
        body: format!(
            "grant_type=refresh_token&client_id=bench-0000000&client_secret={SECRET}&refresh_token=@TOKEN@"
        ),
        tokens: Some(tokens),
        connections,
        ..token_load(port, 1)
    }
}

/// Tokens for a turn: one a connection, and some for what wrk asks before it begins.
fn pool(connections: u32) -> usize {
    connections as usize + 8
}

fn our_rotations(subject: &Subject, connections: u32) -> Result<Side> {
    let (server, port) = subject.serve()?;
    let file = subject.scratch().path("tokens");
    Side::new(server, move || {
        let tokens = refresh_tokens(port, &file, pool(connections))?;
        Ok(rotation_load(port, tokens, connections))
    })
}

/// Rotations, power-safe and audited, beside a bare group-committing writer with the same rows.
pub(crate) fn rotations(effort: Effort, connections: u32) -> Result<Row> {
    let subject = subject("bench-rotation")?;
    let ours = our_rotations(&subject, connections)?;
    let port = free_port()?;
    let file = subject.scratch().path("limit.db");
    let arguments = [
        "limit-rotation",
        "--port",
        &port.to_string(),
        "--file",
        &file.to_string_lossy(),
    ];
    let server = limit_program(&subject, &arguments, port)?;
    let tokens = subject.scratch().path("limit-tokens");
    let next = std::cell::Cell::new(0);
    let limit = Side::new(server, move || {
        let first = next.get();
        next.set(first + pool(connections));
        let texts: Vec<String> = (first..next.get()).map(rotation::first_token).collect();
        std::fs::write(&tokens, texts.join("\n"))?;
        Ok(rotation_load(port, tokens.clone(), connections))
    })?;
    let what =
        format!("rotation of refresh tokens, power-safe and audited, {connections} connections");
    compare(effort, what, ROTATION, [limit, ours])
}

/// Introspection of one live access token, beside a server that answers a fixed text.
pub(crate) fn introspection(effort: Effort) -> Result<Row> {
    let subject = subject("bench-introspection")?;
    let (server, port) = subject.serve()?;
    let token = member(&token_request(port, 0), "access_token")?;
    let body = format!("client_id=bench-0000000&client_secret={SECRET}&token={token}");
    let load = move |port| Load {
        path: "/oauth/introspect",
        body: body.clone(),
        ..token_load(port, 1)
    };
    let limit_port = free_port()?;
    let arguments = ["limit-fixed", "--port", &limit_port.to_string()];
    let limit = limit_program(&subject, &arguments, limit_port)?;
    let (ours, fixed) = (load.clone(), load);
    let sides = [
        Side::new(limit, move || Ok(fixed(limit_port)))?,
        Side::new(server, move || Ok(ours(port)))?,
    ];
    let what = "introspection of a live access token, beside a fixed answer of the same size";
    compare(effort, what.to_owned(), INTROSPECTION, sides)
}

/// Revocation of access tokens, each once, beside rotation on a server of its own.
pub(crate) fn revocations(effort: Effort) -> Result<Row> {
    let (subject, other) = (subject("bench-revocation")?, subject("bench-rotation")?);
    let rotations = our_rotations(&other, 32)?;
    let (server, port) = subject.serve()?;
    let file = subject.scratch().path("tokens");
    let grant = Load {
        collect: Some(file.clone()),
        ..token_load(port, 1)
    };
    let seconds = effort.seconds;
    let ours = Side::new(server, move || {
        // More than can be revoked in a turn: a grant writes less.
        grant.run(seconds.max(2) + 1)?;
        let count = std::fs::read_to_string(&file)?.lines().count();
        ensure!(count > 1000, "only {count} tokens to revoke");
        Ok(Load {
            path: "/oauth/revoke",
            body: format!("client_id=bench-0000000&client_secret={SECRET}&token=@TOKEN@"),
            tokens: Some(file.clone()),
            ..token_load(port, 1)
        })
    })?;
    let what = "revocation of access tokens, each once, beside our own rotations, 32 connections";
    compare(effort, what.to_owned(), REVOCATION, [rotations, ours])
}

/// CPU time a rotation with many families in the store against few.
pub(crate) fn families(effort: Effort) -> Result<Row> {
    let side = |count| -> Result<(Subject, Side)> {
        let subject = subject("bench-families")?;
        lay_down(&subject, count)?;
        let (server, port) = subject.serve()?;
        let file = subject.scratch().path("tokens");
        let side = Side::new(server, move || {
            let tokens = refresh_tokens(port, &file, ACTIVE_FAMILIES)?;
            Ok(rotation_load(port, tokens, 32))
        })?;
        Ok((subject, side))
    };
    let (_few, mut few) = side(FEW_FAMILIES)?;
    let (_many, mut many) = side(MANY_FAMILIES)?;
    let turns = turns::take(
        effort.rounds,
        || {
            few.run(effort.seconds)
                .map(|_| few.costs[few.costs.len() - 1])
        },
        || {
            many.run(effort.seconds)
                .map(|_| many.costs[many.costs.len() - 1])
        },
    )?;
    few.server.stop()?;
    many.server.stop()?;
    Ok(Row {
        what: "cost of a rotation, 10,000,000 refresh families in the store against 10,000, 2,000 of them active".into(),
        limit: format!("{:.1} µs CPU", turns.limit),
        ours: format!("{:.1} µs CPU", turns.ours),
        ratio: format!("{:.2} ×", turns.ratio),
        bound: format!("≤ {FAMILIES} ×"),
        holds: turns.ratio <= FAMILIES,
    })
}

/// Families that only lie there, put into the file by SQL: through the store it would take an hour.
fn lay_down(subject: &Subject, count: u32) -> Result<()> {
    const FILL: &str = "INSERT INTO refresh_families (id, root_key, client_id, scope, resources, generation, rotated_at,
            created_at, expires_at, idle_expires_at)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        SELECT lower(printf('%08x-%04x-7%03x-8%03x-', (i / 5) & 0xffffffff, i % 5, i & 0xfff, random() & 0xfff) || hex(randomblob(6))),
            'bench', 'bench-0000000', 'groups:read members:read', '[\"https://api.activity.com\"]', 1, ?2 + i, ?2 + i,
            ?2 + i + 2592000000, ?2 + i + 2592000000
        FROM n";
    let file = subject.scratch().path("data").join("tokensmith.db");
    let connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")?;
    connection.execute(FILL, [i64::from(count), crate::subject::now().as_millis()])?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}
