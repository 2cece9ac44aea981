//! The built binary, as people and service managers use it: real processes, real files, real HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod assertions;
mod audit;
mod commands;
mod dev;
mod files;
mod import;
mod key_files;
mod keys;
mod registry;
mod running;
mod serve;
mod stopping;
mod tokens;
