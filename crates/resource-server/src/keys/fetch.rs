//! Fetches the issuer's metadata (RFC 8414 section 3) and key set (RFC 7517 section 5).
//! Refuses redirects, answers over 1 MiB or 5 seconds, plain HTTP beyond loopback, and metadata of another issuer.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use thiserror::Error;
use tokensmith_jose::{JwkSet, KeyError, KeySet, strict_json};
use tokensmith_oauth2::metadata::{
    OAUTH_AUTHORIZATION_SERVER, openid_configuration_url, well_known_url,
};
use url::{Host, Url};

/// For metadata and key set together.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 1024 * 1024;

/// Where the keys are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In the metadata of the issuer.
    Issuer(String),
    /// At this address.
    JwksUri(Url),
}

/// Why there are no new keys; for the log.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Transport(#[from] reqwest::Error),
    #[error("the issuer did not answer in time")]
    Timeout,
    #[error("the issuer answered {0}")]
    Status(StatusCode),
    #[error("the issuer's answer is over 1 MiB")]
    TooLarge,
    #[error("the issuer's metadata is malformed")]
    Metadata,
    #[error("the metadata is that of another issuer")]
    Issuer,
    #[error("the address of the keys is neither https nor loopback")]
    Address,
    #[error("the key set: {0}")]
    Keys(#[from] KeyError),
}

pub(crate) struct Fetch {
    client: Client,
    source: Source,
    allow_plain_http: bool,
}

/// What is read of RFC 8414 section 2.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Fetch {
    pub(crate) fn new(source: Source, allow_plain_http: bool) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .referer(false)
            .build()?;
        Ok(Self {
            client,
            source,
            allow_plain_http,
        })
    }

    pub(crate) async fn key_set(&self) -> Result<(JwkSet, KeySet), FetchError> {
        let fetched = tokio::time::timeout(TIMEOUT, self.fetch()).await;
        fetched.map_err(|_| FetchError::Timeout)?
    }

    async fn fetch(&self) -> Result<(JwkSet, KeySet), FetchError> {
        let address = match &self.source {
            Source::JwksUri(address) => address.clone(),
            Source::Issuer(issuer) => self.jwks_uri(issuer).await?,
        };
        if !is_safe(&address, self.allow_plain_http) {
            return Err(FetchError::Address);
        }
        let document = JwkSet::from_slice(&self.get(address).await?)?;
        let keys = KeySet::from_jwks(&document)?;
        Ok((document, keys))
    }

    /// RFC 8414 section 3.3: metadata that names another issuer must not be used.
    async fn jwks_uri(&self, issuer: &str) -> Result<Url, FetchError> {
        let metadata: Metadata = strict_json::from_slice(&self.metadata(issuer).await?)
            .map_err(|_| FetchError::Metadata)?;
        if metadata.issuer != issuer {
            return Err(FetchError::Issuer);
        }
        Url::parse(&metadata.jwks_uri).map_err(|_| FetchError::Metadata)
    }

    /// The RFC 8414 document, or that of OpenID Connect Discovery where an issuer has no other.
    async fn metadata(&self, issuer: &str) -> Result<Vec<u8>, FetchError> {
        let address = well_known_url(issuer, OAUTH_AUTHORIZATION_SERVER)
            .and_then(|text| Url::parse(&text).ok());
        match self.get(address.ok_or(FetchError::Metadata)?).await {
            Err(FetchError::Status(StatusCode::NOT_FOUND)) => {
                let address = Url::parse(&openid_configuration_url(issuer))
                    .map_err(|_| FetchError::Metadata)?;
                self.get(address).await
            }
            answer => answer,
        }
    }

    async fn get(&self, address: Url) -> Result<Vec<u8>, FetchError> {
        let mut response = self.client.get(address).send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// https, or http to this machine, or http where the operator allowed it.
pub(crate) fn is_safe(address: &Url, allow_plain_http: bool) -> bool {
    match address.scheme() {
        "https" => true,
        "http" => allow_plain_http || is_loopback(address),
        _ => false,
    }
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        let safe = |text: &str| is_safe(&Url::parse(text).unwrap(), false);
        for text in [
            "https://as.test/jwks",
            "http://127.0.0.1:8000/jwks",
            "http://[::1]/",
            "http://localhost:8000/",
        ] {
            assert!(safe(text), "{text}");
        }
        for text in [
            "http://as.test/",
            "http://localhost.evil.test/",
            "http://10.0.0.1/",
            "file:///etc/keys",
            "ftp://a/",
        ] {
            assert!(!safe(text), "{text}");
        }
        assert!(is_safe(&Url::parse("http://auth:8000/").unwrap(), true));
        assert!(!is_safe(&Url::parse("file:///etc/keys").unwrap(), true));
    }
}
