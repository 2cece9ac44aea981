//! The HTTP client of this crate: rustls, no redirects, 5 s to connect, 10 s in all, 64 KiB of body.

use std::time::Duration;

use reqwest::{Client, Response, redirect};

use crate::SettingsError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 64 * 1024;

pub(crate) fn build() -> Result<Client, SettingsError> {
    Client::builder()
        // A redirect of a token request would carry the client secret elsewhere.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .build()
        .map_err(|error| SettingsError::HttpClient(error.to_string()))
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLong,
}

pub(crate) async fn body(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
