//! A user's own account.

mod ask;
mod change;
mod leave;
pub(crate) mod password;
mod proof;
mod register;
mod reset;
pub mod rules;
mod verify;

pub(crate) use change::{PasswordChange, changed};
pub use change::{change_email, change_password};
pub use leave::{deactivate, delete, export};
pub(crate) use proof::Shows;
pub use register::register;
pub(crate) use register::{RegisterRequest, registered};
pub(crate) use reset::{ResetRequest, requested as reset_requested, reset};
pub use reset::{request_password_reset, reset_password};
pub(crate) use verify::verified;
pub use verify::{resend_code, verify_code};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    register::register,
    change::change_email,
    change::change_password,
    leave::deactivate,
    leave::delete,
    leave::export,
    reset::request_password_reset,
    reset::reset_password,
    verify::resend_code,
    verify::verify_code
))]
pub(crate) struct Api;
