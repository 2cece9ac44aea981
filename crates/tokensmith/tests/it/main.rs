//! The built binary, as people and service managers use it: real processes, real files, real HTTP.

mod audit;
mod commands;
mod dev;
mod files;
mod keys;
mod running;
mod serve;
mod stopping;
