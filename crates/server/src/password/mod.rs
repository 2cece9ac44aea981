//! Passwords and other low-entropy secrets: argon2id on threads of their own.

mod hashing;

pub use hashing::{Hashing, Overloaded, Verdict};
