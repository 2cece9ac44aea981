//! The `tokensmith` command: one file per command. Exit codes: 0 done, 1 refused or failed, 2 wrong usage (or, for
//! `audit verify`, a broken log).

mod data;
mod dev;
mod process;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An OAuth 2 / OpenID Connect authorization server in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "tokensmith",
    version,
    about,
    max_term_width = 110,
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Dev),
    Serve(serve::Serve),
}

fn main() -> ExitCode {
    process::create_files_for_the_owner_alone();
    process::refuse_huge_pages();
    let outcome = match CommandLine::parse().command {
        Command::Dev(dev) => dev.run(),
        Command::Serve(serve) => serve.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tokensmith: {}", format!("{error:#}").trim_end());
            ExitCode::FAILURE
        }
    }
}
