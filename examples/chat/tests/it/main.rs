//! The built chat service over real HTTP, against an authorization server that is a stub: it signs tokens, knows groups,
//! and fails on demand.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

mod auth;
mod chat;
mod checks;
mod messages;
mod mongodb;
mod operations;
mod outages;
