//! A user's own account.

mod register;
pub mod rules;

pub use register::register;
pub(crate) use register::{RegisterRequest, registered};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(register::register))]
pub(crate) struct Api;
