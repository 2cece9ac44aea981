//! Finds the token endpoint of an issuer (RFC 8414 §3, then OpenID Connect Discovery 1.0 §4).
//! It refuses a document of another issuer and a token endpoint that is less protected than the issuer.

use parking_lot::Mutex;
use reqwest::{Client, StatusCode};
use tokensmith_jose::strict_json;
use tokensmith_oauth2::{
    AuthorizationServerMetadata,
    metadata::{OAUTH_AUTHORIZATION_SERVER, openid_configuration_url, well_known_url},
};
use url::Url;

use crate::{
    ClientAuthentication, TokenEndpoint, TokenErrorKind, grant::Denied, http_client,
    service_client::Key,
};

/// The endpoint once it is known. A grant that fails forgets it, so that a moved endpoint is found again.
#[derive(Debug, Default)]
pub(crate) struct Discovered(Mutex<Option<Url>>);

impl Discovered {
    pub(crate) async fn endpoint(&self, http: &Client, key: &Key) -> Result<Url, Denied> {
        let issuer = match &key.endpoint {
            TokenEndpoint::Url(url) => return Ok(url.clone()),
            TokenEndpoint::Issuer(issuer) => issuer,
        };
        if let Some(known) = self.0.lock().clone() {
            return Ok(known);
        }
        let mut metadata = fetch(http, issuer).await?;
        if key.authentication == ClientAuthentication::Certificate {
            prefer_aliases(&mut metadata);
        }
        let found = token_endpoint(issuer, &metadata)?;
        *self.0.lock() = Some(found.clone());
        Ok(found)
    }

    pub(crate) fn forget(&self) {
        *self.0.lock() = None;
    }
}

async fn fetch(http: &Client, issuer: &str) -> Result<AuthorizationServerMetadata, Denied> {
    let first = well_known_url(issuer, OAUTH_AUTHORIZATION_SERVER)
        .ok_or_else(|| unusable("the issuer is no web address"))?;
    for address in [first, openid_configuration_url(issuer)] {
        let response = http
            .get(address)
            .send()
            .await
            .map_err(Denied::unreachable)?;
        match response.status() {
            StatusCode::OK => {
                let body = http_client::body(response)
                    .await
                    .map_err(Denied::unreachable)?;
                return strict_json::from_slice(&body)
                    .map_err(|_| unusable("it is not a JSON metadata document"));
            }
            StatusCode::NOT_FOUND => {}
            status => return Err(unavailable(status)),
        }
    }
    Err(unusable("there is none"))
}

/// RFC 8705 §5: a client that shows a certificate uses the alias of an endpoint, where there is one.
fn prefer_aliases(metadata: &mut AuthorizationServerMetadata) {
    let alias = metadata.mtls_endpoint_aliases.take();
    if let Some(alias) = alias.and_then(|aliases| aliases.token_endpoint) {
        metadata.token_endpoint = Some(alias);
    }
}

fn token_endpoint(issuer: &str, metadata: &AuthorizationServerMetadata) -> Result<Url, Denied> {
    if metadata.issuer != issuer {
        return Err(unusable("it names another issuer"));
    }
    let endpoint = metadata
        .token_endpoint
        .as_deref()
        .ok_or_else(|| unusable("it names no token endpoint"))?;
    let endpoint = Url::parse(endpoint).map_err(|_| unusable("the token endpoint is no URL"))?;
    match endpoint.scheme() {
        "https" => Ok(endpoint),
        "http" if issuer.starts_with("http://") => Ok(endpoint),
        _ => Err(unusable("the token endpoint does not use https")),
    }
}

fn unusable(reason: &'static str) -> Denied {
    Denied::passing(TokenErrorKind::Metadata(reason), reason)
}

fn unavailable(status: StatusCode) -> Denied {
    let kind = TokenErrorKind::Unavailable {
        status: status.as_u16(),
    };
    Denied::passing(kind, format!("metadata: status {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(issuer: &str, named: &str, token_endpoint_: Option<&str>) -> Result<Url, Denied> {
        let metadata = AuthorizationServerMetadata {
            issuer: named.into(),
            token_endpoint: token_endpoint_.map(Into::into),
            ..Default::default()
        };
        token_endpoint(issuer, &metadata)
    }

    #[test]
    fn row_167_a_document_of_another_issuer_is_refused() {
        let issuer = "https://a.test";
        for named in ["https://a.test/", "https://A.test", "https://evil.test", ""] {
            assert!(
                endpoint(issuer, named, Some("https://a.test/t")).is_err(),
                "{named}"
            );
        }
        assert!(endpoint(issuer, issuer, Some("https://a.test/t")).is_ok());
    }

    #[test]
    fn a_client_with_a_certificate_prefers_the_alias_under_the_same_rules() {
        let aliased = |alias: &str| {
            let mut metadata = AuthorizationServerMetadata {
                issuer: "https://a.test".into(),
                token_endpoint: Some("https://a.test/t".into()),
                mtls_endpoint_aliases: Some(tokensmith_oauth2::MtlsEndpointAliases {
                    token_endpoint: Some(alias.into()),
                    ..Default::default()
                }),
                ..Default::default()
            };
            prefer_aliases(&mut metadata);
            token_endpoint("https://a.test", &metadata).map(String::from)
        };
        assert_eq!(
            aliased("https://mtls.a.test/t").unwrap(),
            "https://mtls.a.test/t"
        );
        assert!(aliased("http://mtls.a.test/t").is_err());
    }

    #[test]
    fn row_167_a_token_endpoint_is_at_least_as_protected_as_its_issuer() {
        assert!(endpoint("https://a.test", "https://a.test", Some("http://a.test/t")).is_err());
        assert!(endpoint("http://a.test", "http://a.test", Some("http://a.test/t")).is_ok());
        assert!(endpoint("http://a.test", "http://a.test", Some("file:///t")).is_err());
        assert!(endpoint("http://a.test", "http://a.test", Some("t")).is_err());
        assert!(endpoint("http://a.test", "http://a.test", None).is_err());
    }
}
