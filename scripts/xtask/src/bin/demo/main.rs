//! Plays the demo.
fn main() {}
