//! A user's own account.

mod register;
pub mod rules;

pub use register::register;
