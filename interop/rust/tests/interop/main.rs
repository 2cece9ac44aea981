//! The crates `oauth2` and `openidconnect` against the started server, as their documentation says to use them.

mod oauth2_crate;
mod openidconnect_crate;

use reqwest::blocking::Client as Http;
use serde_json::{Value, json};

const AUDIENCE: &str = "https://api.activity.com";
const SERVICE: &str = "chat-api-service";
const SECRET: &str = "your-service-secret-change-in-production";
/// The public client under which the server's own sign-in issues tokens.
const ACCOUNT_CLIENT: &str = "tokensmith-account";

fn issuer() -> String {
    std::env::var("TOKENSMITH_URL").expect("run interop/rust/run")
}

fn url(path: &str) -> String {
    issuer() + path
}

/// As both crates advise: a client that follows no redirects.
fn http() -> Http {
    Http::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Signs Alice in, in the older clients' spelling.
fn sign_in() -> Value {
    let body =
        json!({"email": "alice.admin@example.com", "password": "correct horse battery staple"});
    let answer = http().post(url("/auth/login")).json(&body).send().unwrap();
    answer.error_for_status().unwrap().json().unwrap()
}
