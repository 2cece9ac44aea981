//! The HTTP client of this crate: rustls, no redirects, 5 s to connect, 10 s in all, 64 KiB of body.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, redirect};

use crate::{ClientAuthentication, ServiceClient, SettingsError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 64 * 1024;

/// For clients that need nothing of their own.
pub(crate) fn build() -> Result<Client, SettingsError> {
    finish(usual())
}

/// For this client, with its certificate and its trusted authorities.
pub(crate) fn build_for(client: &ServiceClient) -> Result<Client, SettingsError> {
    let mut builder = usual();
    if client.key.authentication == ClientAuthentication::Certificate {
        let identity = Identity::from_pem(client.secret.expose().as_bytes()).map_err(failed)?;
        builder = builder.identity(identity);
    }
    if let Some(pem) = &client.key.authorities {
        let authorities = Certificate::from_pem_bundle(pem.as_bytes()).map_err(failed)?;
        builder = builder.tls_certs_merge(authorities);
    }
    finish(builder)
}

fn failed(error: reqwest::Error) -> SettingsError {
    SettingsError::HttpClient(error.to_string())
}

fn finish(builder: ClientBuilder) -> Result<Client, SettingsError> {
    builder.build().map_err(failed)
}

fn usual() -> ClientBuilder {
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
