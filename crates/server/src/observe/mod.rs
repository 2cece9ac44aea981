//! What operators see: log lines, metrics, traces. None of them ever carries a secret, a token,
//! a raw path or a query string.

pub(crate) mod access;
pub mod logs;
pub mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
