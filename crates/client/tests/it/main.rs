//! The client against a real authorization server on loopback that misbehaves on demand.
//! Times are real: with sockets in play a paused clock would fire the timeouts instead of the answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

mod authorized;
mod dpop;
mod failures;
mod flights;
mod requests;
mod stub;
