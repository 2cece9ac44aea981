//! Cold start: from the start of the process to the first token, on data of its own each time.

use std::time::Duration;

use anyhow::Result;
use tokensmith_xtask::http::Request;
use tokensmith_xtask::process::{Scratch, free_port};

use crate::pinned::Pinned;
use crate::subject::{Subject, release};
use crate::table::Row;
use crate::turns;

const STARTS: usize = 11;
const SERVE: Duration = Duration::from_millis(80);
const DEV: Duration = Duration::from_millis(400);

/// `serve` without keys, users or groups: it makes its signing keys first. One client is there, who else could ask?
pub(crate) fn serve() -> Result<Row> {
    let first_tokens = (0..STARTS).map(|_| {
        let (server, _) = Subject::new("bench-start", "ES256")?
            .with_clients_and_users(1, 0)?
            .serve()?;
        let took = server.first_answer;
        server.stop()?;
        Ok(took)
    });
    row(
        "`serve`, empty but for one client: start to first token",
        &first_tokens.collect::<Result<Vec<_>>>()?,
        SERVE,
    )
}

/// `dev` on nothing: schema, keys, demo organizations, users with hashed passwords, clients.
pub(crate) fn dev() -> Result<Row> {
    let first_tokens = (0..STARTS).map(|_| {
        let scratch = Scratch::new("bench-dev")?;
        let port = free_port()?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "chat-api-service"),
            ("client_secret", "your-service-secret-change-in-production"),
            ("scope", "groups:read members:read"),
        ];
        let first = Request::new("POST", port, "/oauth/token").form(&form);
        let data = scratch.path("data");
        let arguments = [
            "dev".as_ref(),
            "--port".as_ref(),
            port.to_string().as_ref(),
            "--data".as_ref(),
            data.as_os_str(),
        ]
        .map(std::ffi::OsStr::to_owned);
        let server = Pinned::start(
            &release("tokensmith")?,
            &arguments,
            &scratch.path("log"),
            &first,
        )?;
        let took = server.first_answer;
        server.stop()?;
        Ok(took)
    });
    row(
        "`dev` on nothing, with demo data: start to first token",
        &first_tokens.collect::<Result<Vec<_>>>()?,
        DEV,
    )
}

fn row(what: &str, starts: &[Duration], bound: Duration) -> Result<Row> {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let median = turns::median(starts.iter().copied().map(milliseconds));
    let worst = starts.iter().max().copied().unwrap_or_default();
    Ok(Row {
        what: what.into(),
        limit: String::new(),
        ours: format!(
            "{median:.0} ms (median of {STARTS}, worst {:.0} ms)",
            milliseconds(worst)
        ),
        ratio: String::new(),
        bound: format!("≤ {} ms", bound.as_millis()),
        holds: median <= milliseconds(bound),
    })
}
