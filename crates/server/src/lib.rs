//! (being built)
pub mod config;
