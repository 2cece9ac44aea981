//! The rows of the ratio table: each can be measured alone.

mod commits;
mod grants;
mod memory;
mod peer;
mod scale;
mod start;
mod token_service;
mod validation;

use anyhow::Result;

use crate::limit::token::SignatureKind;
use crate::table::Row;

/// How long and how often rows that take turns measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Turns of each program.
    pub(crate) rounds: usize,
    /// Seconds of load a turn.
    pub(crate) seconds: u32,
}

/// A row's measurement.
type Measure = fn(Effort) -> Result<Row>;

/// Name, and how the row is measured, in the order of the table.
pub(crate) const ROWS: &[(&str, Measure)] = &[
    ("cc-es256", |effort| {
        grants::measure(SignatureKind::Es256, effort)
    }),
    ("cc-rs256", |effort| {
        grants::measure(SignatureKind::Rs256, effort)
    }),
    ("validate-new", validation::new_token),
    ("validate-seen", validation::seen_token),
    ("start-serve", |_| start::serve()),
    ("start-dev", |_| start::dev()),
    ("memory-rest", |_| memory::at_rest()),
    ("memory-grants", |_| memory::after_grants()),
    ("commits", commits::measure),
    ("scale-same", scale::same_clients),
    ("scale-all", scale::all_clients),
    ("rotate-32", |effort| token_service::rotations(effort, 32)),
    ("rotate-128", |effort| token_service::rotations(effort, 128)),
    ("introspect", token_service::introspection),
    ("revoke", token_service::revocations),
    ("families", token_service::families),
    ("peer-cc", peer::client_credentials),
    ("peer-introspection", peer::introspection),
    ("peer-rotation", peer::rotation),
];
