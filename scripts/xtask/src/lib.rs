//! What the programs behind `scripts/` and `bench/` share: one HTTP/1.1 exchange over loopback and a server
//! process that ends with its owner. Standard library only, so that the checks build in seconds.

pub mod http;
pub mod process;
