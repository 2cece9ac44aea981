//! Secrets at the command line: read from standard input, never from an argument that other users could see; or made
//! here and printed once.

use std::io::BufRead;

use anyhow::{Result, ensure};
use tokensmith_oauth2::Secret;
use zeroize::Zeroizing;

const LONGEST: u64 = 4096;

/// The first line of standard input.
pub(crate) fn from_stdin() -> Result<Secret> {
    let mut line = Zeroizing::new(String::new());
    std::io::Read::take(std::io::stdin().lock(), LONGEST).read_line(&mut line)?;
    let secret = line.trim_end_matches(['\r', '\n']);
    ensure!(!secret.is_empty(), "standard input holds no secret");
    Ok(Secret::from(secret))
}
