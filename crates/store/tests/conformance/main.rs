//! One suite that both engines must pass, in four parts: behaviour, races, time edges, faults.
//!
//! SQLite runs on a file in a temporary directory, PostgreSQL in a fresh database of the server that
//! `TOKENSMITH_TEST_POSTGRES_URL` names. Every test ends with `Store::verify`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod actors;
mod behaviour;
mod faults;
mod ground;
mod journal;
mod migrations;
mod properties;
mod races;
mod tampering;
mod time_edges;
