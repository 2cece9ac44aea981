//! Faults while many clients rotate refresh tokens at once, judged by a ledger that the clients keep themselves.
//!
//! `kill` ends the server with SIGKILL at random moments (F01), `term` asks it to end (F20), `postgres` kills the
//! database under it (F04), `disk-full` takes its disk away (F10). Prints the seed; fails when a promise is broken.

mod check;
mod client;
mod ground;
mod kinds;
mod ledger;
mod options;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let played = options::Options::read().and_then(|options| kinds::play(&options));
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}
