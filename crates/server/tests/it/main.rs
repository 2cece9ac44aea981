//! The server over HTTP: real router, real store, real socket. Rows named in tests are those of the list of attacks
//! and bad input that the server is checked against.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

mod access;
mod accounts;
mod admin;
mod api_keys;
mod attack;
mod dpop;
mod exchange;
mod fetch;
mod groups;
mod input;
mod insight;
mod introspect;
mod jwt_bearer;
mod limits;
mod limits_redis;
mod login;
mod machine;
mod mail;
mod matrix;
mod mtls;
mod openapi;
mod orgs;
mod pages;
mod pages_factors;
mod refresh;
mod register;
mod revocation_feed;
mod revoke;
mod roles;
mod second_factors;
mod sessions;
mod signing;
mod timeline;
mod tls;

/// The claims of a token, unchecked.
fn claims_of(token: &str) -> serde_json::Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
