//! One target for each parser of bytes that come from outside. A target is a function that panics when a rule is broken:
//! not only "it does not crash", but what must hold of whatever was accepted.
//!
//! `scripts/fuzz` looks for such bytes with libFuzzer; the kept ones in `corpus/` are played by every test run.

mod targets;

pub use targets::{TARGETS, Target};
