//! A user's own account.

mod register;
mod rules;

pub use register::register;
