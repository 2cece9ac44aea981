//! Cost of a grant with a million clients and users in the store against a hundred, in turns. The load names clients at
//! random, so that of a million most are read from the database; the cost is the server's CPU time.

use anyhow::Result;

use super::Effort;
use crate::subject::{Subject, token_load};
use crate::table::Row;
use crate::turns;

const FEW: u32 = 100;
const MANY: u32 = 1_000_000;
const BOUND: f64 = 1.2;

pub(crate) fn measure(effort: Effort) -> Result<Row> {
    let few = Subject::new("bench-few", "ES256")?.with_clients_and_users(FEW, FEW)?;
    let many = Subject::new("bench-many", "ES256")?.with_clients_and_users(MANY, MANY)?;
    let ((few_server, few_port), (many_server, many_port)) = (few.serve()?, many.serve()?);
    let (few_load, many_load) = (token_load(few_port, FEW), token_load(many_port, MANY));
    few_load.run(2)?;
    many_load.run(2)?;
    let turns = turns::take(
        effort.rounds,
        || Ok(few_server.under(&few_load, effort.seconds)?.1),
        || Ok(many_server.under(&many_load, effort.seconds)?.1),
    )?;
    few_server.stop()?;
    many_server.stop()?;
    Ok(Row {
        what: "cost of a grant, 1,000,000 clients and users against 100".into(),
        limit: format!("{:.1} µs CPU", turns.limit),
        ours: format!("{:.1} µs CPU", turns.ours),
        ratio: format!("{:.2} ×", turns.ratio),
        bound: format!("≤ {BOUND} ×"),
        holds: turns.ratio <= BOUND,
    })
}
