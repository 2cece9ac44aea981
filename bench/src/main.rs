//! Limit programs, the load driver and the rows of the ratio table. `scripts/bench` builds and starts it.
//!
//! Absolute figures belong to one machine and one day; the ratio of a program to the least a program could do,
//! measured in turns in one run, travels. Loads only processes it started itself, on 127.0.0.1.

mod awake;
mod limit;
mod pinned;
mod rows;
mod store_commits;
mod subject;
mod table;
mod turns;
mod wrk;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::rows::{Effort, ROWS};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Limit programs and the ratio table")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A bare axum server that signs a token for every form and does nothing else.
    LimitToken(limit::token::Arguments),
    /// A bare axum server that answers every form with the same 700 bytes.
    LimitFixed(limit::fixed::Arguments),
    /// A bare axum server that rotates through one group-committing writer.
    LimitRotation(limit::rotation::Arguments),
    /// SQLite alone: one update and one insert a unit of work, many units a commit, fsynced.
    LimitEngine(limit::engine::Arguments),
    /// The store: the same unit of work through its operations, from many callers.
    StoreCommits(store_commits::Arguments),
    /// Measures rows and prints the table.
    Table(TableArguments),
}

#[derive(clap::Args)]
struct TableArguments {
    /// Rows to measure; all when none is named.
    rows: Vec<String>,
    /// Only print the names of the rows.
    #[arg(long)]
    list: bool,
    /// Put the table into docs/performance.md.
    #[arg(long)]
    write: bool,
    /// Turns of each program.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load a turn.
    #[arg(long, default_value_t = 4)]
    seconds: u32,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::LimitToken(arguments) => limit::token::run(&arguments)?,
        Command::LimitFixed(arguments) => limit::fixed::run(&arguments)?,
        Command::LimitRotation(arguments) => limit::rotation::run(&arguments)?,
        Command::LimitEngine(arguments) => limit::engine::run(&arguments)?,
        Command::StoreCommits(arguments) => store_commits::run(&arguments)?,
        Command::Table(arguments) => return print_table(&arguments),
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures what was asked for, keeps every row, prints the table of all rows kept.
fn print_table(arguments: &TableArguments) -> Result<ExitCode> {
    let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
    if arguments.list {
        println!("{}", names.join("\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let unknown: Vec<_> = arguments
        .rows
        .iter()
        .filter(|row| !names.contains(&row.as_str()))
        .collect();
    ensure!(
        unknown.is_empty(),
        "no such row: {unknown:?}; there are {}",
        names.join(", ")
    );
    let all_hold = measure(arguments)?;
    let table = table::markdown(&names);
    println!("\n{}\n\n{table}", table::machine());
    if arguments.write {
        table::write(&table)?;
    }
    Ok(if all_hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn measure(arguments: &TableArguments) -> Result<bool> {
    let effort = Effort {
        rounds: arguments.rounds,
        seconds: arguments.seconds,
    };
    let busy = table::busy()?;
    if busy > 0.05 {
        eprintln!(
            "bench: other programs use {:.0} % of this machine; figures will be rough",
            busy * 100.0
        );
    }
    let awake = awake::hold();
    if awake.is_none() {
        eprintln!(
            "bench: cores may halt (no right to write /dev/cpu_dma_latency); waking them counts as the server's"
        );
    }
    let mut all_hold = true;
    for (name, measure) in ROWS {
        if arguments.rows.is_empty() || arguments.rows.iter().any(|row| row == name) {
            let row = measure(effort)?;
            println!(
                "{name:<14} {} {} [{}] {}",
                row.ours,
                row.ratio,
                row.bound,
                if row.holds { "holds" } else { "DOES NOT HOLD" }
            );
            row.keep(name)?;
            all_hold &= row.holds;
        }
    }
    Ok(all_hold)
}
