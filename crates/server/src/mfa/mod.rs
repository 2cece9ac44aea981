//! Second factors: authenticator apps, passkeys, recovery codes. What is shown is proved in [`prove`]; what is added,
//! removed or shown anew needs a sign-in of just now, and its user hears of it by mail.

mod codes;
mod notice;
mod passkey;
mod prove;
mod qr;
mod recovery;
mod totp;
mod totp_setup;

pub(crate) use codes::replaced as new_recovery_codes;
pub use codes::{regenerate, remaining, status};
pub use passkey::{
    PasskeyAnswer, add, add_options, answer_options, assert, list, remove, rename, sign_in_options,
};
pub(crate) use passkey::{
    begin_sign_in as begin_passkey_sign_in, question_to, remove_from as remove_passkey,
};
pub use prove::{Proof, prove};
pub(crate) use totp_setup::{Setup, confirm_in, enrolment, remove_app, set_up};
pub use totp_setup::{disable, enrol, enrolled, setup, verify};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    codes::status,
    codes::remaining,
    codes::regenerate,
    totp_setup::setup,
    totp_setup::enrol,
    totp_setup::verify,
    totp_setup::disable,
    passkey::ceremony::sign_in_options,
    passkey::ceremony::answer_options,
    passkey::owned::add_options,
    passkey::owned::add,
    passkey::owned::list,
    passkey::owned::rename,
    passkey::owned::remove
))]
pub(crate) struct Api;
