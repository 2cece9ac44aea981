//! The resource server against a stub issuer over real HTTP. Numbers like `row_028` are rows of the attack corpus;
//! each of those tests first shows that the same request without the attack succeeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod claims;
mod dpop;
mod forging;
mod guards;
mod issuer;
mod keys;
mod legacy;
mod protected;
mod remembered;
mod transport;
