//! A peer beside us: `oidc-provider`, an npm package, doing the same on the same core, in turns, 32 connections.
//! It keeps everything in memory: it fsyncs nothing, writes no audit line, and forgets all of it at the end.
//! Where Node.js or npm is missing the row says so and nothing fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use tokensmith_xtask::http::Request;
use tokensmith_xtask::process::{Scratch, free_port};

use super::Effort;
use crate::pinned::Pinned;
use crate::subject::{SECRET, Subject, member, refresh_tokens, token_load, token_request};
use crate::table::Row;
use crate::turns::{self, Turns};
use crate::wrk::Load;

/// Refresh tokens for a turn: one a connection, and some for what wrk asks before it begins.
const TOKENS: usize = 40;

/// Grants of service tokens.
pub(crate) fn client_credentials(effort: Effort) -> Result<Row> {
    let what = "client_credentials, ES256";
    measure(what, effort, |side| Ok(token_load(side.port, 1)))
}

/// Introspection of one live access token: a JWT of ours, an opaque one of the peer's, which introspects no JWT.
pub(crate) fn introspection(effort: Effort) -> Result<Row> {
    let what = "introspection of a live access token (ours a JWT, the peer's opaque)";
    measure(what, effort, |side| {
        Ok(Load {
            path: "/oauth/introspect",
            body: format!(
                "client_id=bench-0000000&client_secret={SECRET}&token={}",
                side.access_token()?
            ),
            ..token_load(side.port, 1)
        })
    })
}

/// Rotation of refresh tokens: each answer's token is the next request's.
pub(crate) fn rotation(effort: Effort) -> Result<Row> {
    let what = "rotation of refresh tokens (ours power-safe and audited)";
    measure(what, effort, |side| {
        Ok(Load {
            body: format!(
                "grant_type=refresh_token&client_id=bench-0000000&client_secret={SECRET}&refresh_token=@TOKEN@"
            ),
            tokens: Some(side.refresh_tokens()?),
            ..token_load(side.port, 1)
        })
    })
}

/// One of the two servers.
struct Side {
    server: Pinned,
    port: u16,
    is_peer: bool,
    tokens: PathBuf,
}

impl Side {
    fn access_token(&self) -> Result<String> {
        let mut request = token_request(self.port, 0);
        if self.is_peer {
            request.body += "&resource=https://opaque.activity.com";
        }
        member(&request, "access_token")
    }

    /// A file of new ones for every turn: those that a turn leaves in flight are spent.
    fn refresh_tokens(&self) -> Result<PathBuf> {
        if !self.is_peer {
            return refresh_tokens(self.port, &self.tokens, TOKENS);
        }
        let path = format!("/bench/refresh-tokens?count={TOKENS}");
        let answer = Request::new("GET", self.port, path).send()?;
        std::fs::write(&self.tokens, answer.body)?;
        Ok(self.tokens.clone())
    }

    /// Rate and CPU microseconds a request.
    fn under(&self, load: &Load, seconds: u32) -> Result<(f64, f64)> {
        let (run, cost) = self.server.under(load, seconds)?;
        Ok((run.rate(), cost))
    }
}

fn measure(what: &str, effort: Effort, load: impl Fn(&Side) -> Result<Load>) -> Result<Row> {
    let name = match installed() {
        Ok(name) => name,
        Err(missing) => return Ok(not_measured(what, &missing)),
    };
    let subject = Subject::new("bench-peer", "ES256")?.with_clients_and_users(1, 0)?;
    let ours = ours(&subject)?;
    let peer = peer(subject.scratch())?;
    ours.under(&load(&ours)?, 2)?;
    peer.under(&load(&peer)?, 2)?;
    let (mut costs, mut peer_costs) = (Vec::new(), Vec::new());
    let turns = turns::take(
        effort.rounds,
        || {
            let (rate, cost) = peer.under(&load(&peer)?, effort.seconds)?;
            peer_costs.push(cost);
            Ok(rate)
        },
        || {
            let (rate, cost) = ours.under(&load(&ours)?, effort.seconds)?;
            costs.push(cost);
            Ok(rate)
        },
    )?;
    ours.server.stop()?;
    peer.server.stop()?;
    let costs = [peer_costs, costs].map(|costs| turns::median(costs.into_iter()));
    Ok(row(what, &name, turns, costs))
}

fn row(what: &str, peer: &str, turns: Turns, [peer_cost, cost]: [f64; 2]) -> Row {
    Row {
        what: format!("{what}, beside {peer}, all in memory, not durable"),
        limit: format!("peer {:.0}/s, {peer_cost:.1} µs CPU", turns.limit),
        ours: format!("{:.0}/s, {cost:.1} µs CPU", turns.ours),
        ratio: format!("{:.1} ×", turns.ratio),
        bound: String::new(),
        holds: true,
    }
}

fn not_measured(what: &str, missing: &str) -> Row {
    Row {
        what: format!("{what}, beside oidc-provider"),
        limit: String::new(),
        ours: format!("not measured: {missing}"),
        ratio: String::new(),
        bound: String::new(),
        holds: true,
    }
}

fn ours(subject: &Subject) -> Result<Side> {
    let (server, port) = subject.serve()?;
    Ok(Side {
        server,
        port,
        is_peer: false,
        tokens: subject.scratch().path("tokens"),
    })
}

fn peer(scratch: &Scratch) -> Result<Side> {
    let port = free_port()?;
    let program = folder().join("server.js");
    let arguments = [
        program.as_os_str(),
        port.to_string().as_ref(),
        SECRET.as_ref(),
    ]
    .map(std::ffi::OsStr::to_owned);
    let ready = Request::new("GET", port, "/ready");
    let server = Pinned::start(
        Path::new("node"),
        &arguments,
        &scratch.path("peer.log"),
        &ready,
    )?;
    Ok(Side {
        server,
        port,
        is_peer: true,
        tokens: scratch.path("peer-tokens"),
    })
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/oidc-provider"))
}

/// Installs the locked packages once; the peer's name and versions, or what is missing.
fn installed() -> Result<String, String> {
    let node = printed("node", &["--version"]).map_err(|_| "node is not installed".to_owned())?;
    let package = folder().join("node_modules/oidc-provider/package.json");
    if !package.exists() {
        printed("npm", &["--version"]).map_err(|_| "npm is not installed".to_owned())?;
        let install = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
        printed("npm", &install).map_err(|error| format!("npm ci failed ({error})"))?;
    }
    let text = std::fs::read_to_string(&package).unwrap_or_default();
    let version = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    let version = version["version"].as_str().unwrap_or("?");
    Ok(format!("oidc-provider {version} on Node.js {node}"))
}

/// What a program of the peer's ecosystem prints.
fn printed(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder());
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
