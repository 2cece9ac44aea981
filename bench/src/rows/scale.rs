//! Cost of a grant with a million clients and users in the store against a hundred, in turns: the server's CPU time.
//! Once the same hundred clients ask on both, which is what a bigger store alone costs; once all of the million ask at
//! random, so that nearly every client is read from the database.

use anyhow::Result;

use super::Effort;
use crate::subject::{Subject, token_load};
use crate::table::Row;
use crate::turns::{self, Turns};

const FEW: u32 = 100;
const MANY: u32 = 1_000_000;
const BOUND: f64 = 1.2;

/// The same hundred clients ask.
pub(crate) fn same_clients(effort: Effort) -> Result<Row> {
    let turns = measure(FEW, effort)?;
    Ok(row(
        "cost of a grant, 1,000,000 clients and users in the store against 100, the same 100 asking",
        turns,
    ))
}

/// All of them ask, at random.
pub(crate) fn all_clients(effort: Effort) -> Result<Row> {
    let turns = measure(MANY, effort)?;
    Ok(row("the same, all 1,000,000 asking at random", turns))
}

fn measure(asking: u32, effort: Effort) -> Result<Turns> {
    let few = Subject::new("bench-few", "ES256")?.with_clients_and_users(FEW, FEW)?;
    let many = Subject::new("bench-many", "ES256")?.with_clients_and_users(MANY, MANY)?;
    let ((few_server, few_port), (many_server, many_port)) = (few.serve()?, many.serve()?);
    let (few_load, many_load) = (token_load(few_port, FEW), token_load(many_port, asking));
    few_load.run(2)?;
    many_load.run(2)?;
    let turns = turns::take(
        effort.rounds,
        || Ok(few_server.under(&few_load, effort.seconds)?.1),
        || Ok(many_server.under(&many_load, effort.seconds)?.1),
    )?;
    few_server.stop()?;
    many_server.stop()?;
    Ok(turns)
}

fn row(what: &str, turns: Turns) -> Row {
    Row {
        what: what.into(),
        limit: format!("{:.1} µs CPU", turns.limit),
        ours: format!("{:.1} µs CPU", turns.ours),
        ratio: format!("{:.2} ×", turns.ratio),
        bound: format!("≤ {BOUND} ×"),
        holds: turns.ratio <= BOUND,
    }
}
