//! Resident memory of `serve`: at rest after its first token, and after 100,000 grants.

use std::time::Duration;

use anyhow::Result;

use crate::subject::{Subject, token_load};
use crate::table::Row;

const AT_REST_MIB: f64 = 20.0;
const AFTER_GRANTS_MIB: f64 = 30.0;
const GRANTS: u64 = 100_000;
const REST: Duration = Duration::from_secs(3);

pub(crate) fn at_rest() -> Result<Row> {
    let subject = Subject::new("bench-memory", "ES256")?.with_clients_and_users(1, 0)?;
    let (server, _) = subject.serve()?;
    std::thread::sleep(REST);
    let resident = server.resident()?;
    server.stop()?;
    Ok(row("resident memory at rest", resident, AT_REST_MIB))
}

pub(crate) fn after_grants() -> Result<Row> {
    let subject = Subject::new("bench-memory", "ES256")?.with_clients_and_users(1, 0)?;
    let (server, port) = subject.serve()?;
    let load = token_load(port, 1);
    let mut granted = 0;
    while granted < GRANTS {
        granted += load.run(2)?.requests;
    }
    std::thread::sleep(REST);
    let resident = server.resident()?;
    server.stop()?;
    Ok(row(
        &format!("resident memory after {granted} grants"),
        resident,
        AFTER_GRANTS_MIB,
    ))
}

fn row(what: &str, resident: f64, bound: f64) -> Row {
    Row {
        what: what.into(),
        limit: String::new(),
        ours: format!("{resident:.1} MiB"),
        ratio: String::new(),
        bound: format!("≤ {bound} MiB"),
        holds: resident <= bound,
    }
}
