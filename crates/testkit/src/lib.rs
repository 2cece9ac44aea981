//! The server under test: the real router, store and listener on a loopback socket, with a clock that is set and
//! randomness that is seeded. Actors send requests as the people and services of a test; nothing of ours is mocked.
//!
//! Dropping a [`TestServer`] checks every invariant of its store.
//!
//! With `TOKENSMITH_TEST_BINARY` in the environment the same tests run against the built program (`scripts/attack`).

mod actor;
mod answer;
mod authenticator;
mod browser;
mod certificates;
mod judged;
mod process;
mod server;
mod smtp;

pub use actor::{Anonymous, Service, User};
pub use answer::Answer;
pub use authenticator::{AuthenticatorApp, Passkey, Touch};
pub use browser::{Browser, SESSION_COOKIE, form_token};
pub use certificates::{Authority, Identity, Names};
pub use process::process_log;
pub use server::{SIGN_IN_PASSWORD, TestServer, Tls};
pub use smtp::{Arrived, MailServer};
