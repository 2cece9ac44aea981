//! Shapes that many operations answer with, and shapes of answers that are put together member by member.

#![expect(dead_code, reason = "fields are read by the derive alone")]

use serde_json::Value;
use tokensmith_store::Timestamp;
use utoipa::ToSchema;

/// A refusal of a JSON API (RFC 9457). `detail` is one sentence for people.
#[derive(ToSchema)]
pub(super) struct Problem {
    /// Ends in the refusal's word.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
}

/// A refusal of an OAuth endpoint (RFC 6749 §5.2).
#[derive(ToSchema)]
pub(super) struct OAuthProblem {
    /// The error code.
    error: String,
    /// One sentence for people.
    error_description: Option<String>,
}

/// A secret that was made, shown this once.
#[derive(ToSchema)]
pub(crate) struct Made {
    id: String,
    client_secret: String,
    created_at: Timestamp,
}

/// One page of audit lines.
#[derive(ToSchema)]
pub(crate) struct AuditPage {
    /// Each has `id`, `at` and `event`, and what else there is to say.
    lines: Vec<Value>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}
