//! Passwords and other low-entropy secrets: argon2id on threads of their own.

pub mod breached;
mod foreign;
mod hashing;
mod rules;

pub use foreign::ForeignHash;
pub use hashing::{Hashing, Overloaded, Verdict};
pub use rules::{PasswordRefusal, PasswordRules};
