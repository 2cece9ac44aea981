//! The error surfaces: OAuth (RFC 6749 §5.2), JSON APIs (RFC 9457), pages. Every error holds a public sentence, the
//! refusal's word (metric label and audit word) and a private detail that goes to the log alone.

mod api;
mod oauth;
mod page;

pub use api::{ApiError, ApiJson, JsonPatch};
pub(crate) use api::{broken_body_sentence, json_body};
pub use oauth::OAuthError;
pub(crate) use oauth::{insert_dpop_nonce, no_store};
pub use page::PageError;
pub(crate) use page::PageRefusal;
