//! Who asks for service tokens, where and for what: the settings of a client_credentials grant (RFC 6749 §4.4).
//! Two of these that differ in anything but the secret never share a token.

use std::{env, fs};

use tokensmith_oauth2::{ClientId, ResourceIndicator, Scope, Secret};
use url::{Host, Url};

use crate::{DpopKey, SettingsError};

const KEY_FILE: &str = "SERVICE_CLIENT_KEY_FILE";

/// Where tokens are granted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenEndpoint {
    /// This URL.
    Url(Url),
    /// The `token_endpoint` in the metadata of this issuer (RFC 8414), fetched when first needed.
    Issuer(String),
}

/// How the client authenticates at the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ClientAuthentication {
    /// `client_secret_basic`: an `Authorization` header with form-encoded id and secret.
    #[default]
    Basic,
    /// `client_secret_post`: id and secret in the body.
    Post,
    /// `tls_client_auth` or `self_signed_tls_client_auth` (RFC 8705 §2): a certificate in the TLS handshake. The secret
    /// is then the certificate chain and its private key, both in PEM.
    Certificate,
    /// `private_key_jwt` (RFC 7523 §2.2): a signed statement. The secret is then the private key in PEM, and the endpoint
    /// must be an issuer, for whom alone the statement is made. Its `kid` is the RFC 7638 thumbprint of the key.
    PrivateKeyJwt,
}

/// A service and the tokens it asks for. `Debug` does not show the secret.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    pub(crate) key: Key,
    pub(crate) secret: Secret,
}

/// Everything that tells one token from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) id: ClientId,
    pub(crate) authentication: ClientAuthentication,
    pub(crate) scope: Option<Scope>,
    pub(crate) resources: Vec<ResourceIndicator>,
    pub(crate) dpop: Option<DpopKey>,
    /// Authorities in PEM that the authorization server's certificate may come from.
    pub(crate) authorities: Option<String>,
}

impl ServiceClient {
    /// A client with `client_secret_basic`, the default scope and the default audience of its server.
    pub fn new(id: ClientId, secret: impl Into<Secret>, endpoint: TokenEndpoint) -> Self {
        let authentication = ClientAuthentication::default();
        let key = Key {
            endpoint,
            id,
            authentication,
            scope: None,
            resources: Vec::new(),
            dpop: None,
            authorities: None,
        };
        Self {
            key,
            secret: secret.into(),
        }
    }

    /// Reads `SERVICE_CLIENT_ID`, `SERVICE_CLIENT_SECRET` (or `SERVICE_CLIENT_SECRET_FILE`), `SERVICE_SCOPE`
    /// (optional) and where tokens are granted: `SERVICE_TOKEN_URL`, else the metadata of `AUTH_API_ISSUER`,
    /// else that of `AUTH_API_URL`.
    ///
    /// With `SERVICE_CLIENT_KEY_FILE`, a private key in PEM, the client authenticates by that instead of a secret, and
    /// the issuer must be named.
    ///
    /// # Errors
    /// [`SettingsError::Missing`] and [`SettingsError::Invalid`] name the variable.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let read = |name| read(name).filter(|value| !value.is_empty());
        let id = read("SERVICE_CLIENT_ID").ok_or(SettingsError::Missing("SERVICE_CLIENT_ID"))?;
        let id = ClientId::parse(&id).map_err(|error| invalid("SERVICE_CLIENT_ID", error))?;
        let mut client = match read(KEY_FILE) {
            Some(path) => Self::new(id, file(KEY_FILE, &path)?, issuer(read)?)
                .authentication(ClientAuthentication::PrivateKeyJwt),
            None => Self::new(id, secret(read)?, endpoint(read)?),
        };
        if let Some(scope) = read("SERVICE_SCOPE") {
            client.key.scope =
                Some(Scope::parse(&scope).map_err(|error| invalid("SERVICE_SCOPE", error))?);
        }
        Ok(client)
    }

    /// Asks for this scope.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.key.scope = Some(scope);
        self
    }

    /// Asks for a token for this resource (RFC 8707), in addition to those named before.
    #[must_use]
    pub fn resource(mut self, resource: ResourceIndicator) -> Self {
        self.key.resources.push(resource);
        self
    }

    /// Authenticates in this way.
    #[must_use]
    pub fn authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.key.authentication = authentication;
        self
    }

    /// Asks for tokens that are bound to this key (DPoP, RFC 9449), and refuses others.
    #[must_use]
    pub fn dpop(mut self, key: DpopKey) -> Self {
        self.key.dpop = Some(key);
        self
    }

    /// Trusts these authorities (certificates in PEM) for the authorization server, beside those of the machine.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.key.authorities = Some(pem.into());
        self
    }

    /// Whether its TLS connections are no use to another client.
    pub(crate) fn has_own_tls(&self) -> bool {
        self.key.authorities.is_some()
            || self.key.authentication == ClientAuthentication::Certificate
    }

    pub(crate) fn warn_when_the_secret_travels_in_clear(&self) {
        if self.key.authentication == ClientAuthentication::PrivateKeyJwt {
            return;
        }
        let url = match &self.key.endpoint {
            TokenEndpoint::Url(url) => Some(url.clone()),
            TokenEndpoint::Issuer(issuer) => Url::parse(issuer).ok(),
        };
        if url.is_some_and(|url| url.scheme() == "http" && !is_loopback(&url)) {
            tracing::warn!(client_id = %self.key.id, "the client secret is sent over plain HTTP; use https");
        }
    }
}

fn secret(read: impl Fn(&'static str) -> Option<String>) -> Result<Secret, SettingsError> {
    if let Some(secret) = read("SERVICE_CLIENT_SECRET") {
        return Ok(Secret::new(secret));
    }
    let path = read("SERVICE_CLIENT_SECRET_FILE")
        .ok_or(SettingsError::Missing("SERVICE_CLIENT_SECRET"))?;
    file("SERVICE_CLIENT_SECRET_FILE", &path)
}

fn file(name: &'static str, path: &str) -> Result<Secret, SettingsError> {
    let text = fs::read_to_string(path).map_err(|error| invalid(name, error))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(invalid(name, "is empty")),
        secret => Ok(Secret::from(secret)),
    }
}

fn endpoint(read: impl Fn(&'static str) -> Option<String>) -> Result<TokenEndpoint, SettingsError> {
    if let Some(url) = read("SERVICE_TOKEN_URL") {
        return web_url("SERVICE_TOKEN_URL", &url).map(TokenEndpoint::Url);
    }
    issuer(read).map_err(|error| match error {
        SettingsError::Missing(_) => SettingsError::Missing("SERVICE_TOKEN_URL"),
        error => error,
    })
}

fn issuer(read: impl Fn(&'static str) -> Option<String>) -> Result<TokenEndpoint, SettingsError> {
    for name in ["AUTH_API_ISSUER", "AUTH_API_URL"] {
        if let Some(issuer) = read(name) {
            web_url(name, &issuer)?;
            return Ok(TokenEndpoint::Issuer(issuer));
        }
    }
    Err(SettingsError::Missing("AUTH_API_ISSUER"))
}

fn web_url(name: &'static str, text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text).map_err(|error| invalid(name, error))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(invalid(name, "is not an http or https URL")),
    }
}

fn invalid(name: &'static str, reason: impl std::fmt::Display) -> SettingsError {
    SettingsError::Invalid {
        name,
        reason: format!("is not usable: {reason}"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ServiceClient, SettingsError> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(held, _)| *held == name)
                .map(|(_, value)| (*value).to_owned())
        };
        ServiceClient::from_variables(find)
    }

    const ID: (&str, &str) = ("SERVICE_CLIENT_ID", "chat-api-service");
    const SECRET: (&str, &str) = ("SERVICE_CLIENT_SECRET", "s3cret");
    const URL: (&str, &str) = ("SERVICE_TOKEN_URL", "http://localhost:8000/oauth/token");

    #[test]
    fn the_names_of_the_contract_are_read() {
        let client = read(&[
            ID,
            SECRET,
            URL,
            ("SERVICE_SCOPE", "groups:read members:read"),
        ])
        .unwrap();
        assert_eq!(client.key.id.as_str(), "chat-api-service");
        assert_eq!(
            client.key.scope.unwrap().to_string(),
            "groups:read members:read"
        );
        assert_eq!(
            client.key.endpoint,
            TokenEndpoint::Url(Url::parse(URL.1).unwrap())
        );
    }

    #[test]
    fn without_a_token_url_the_issuer_is_asked() {
        let api = ("AUTH_API_URL", "http://localhost:8000");
        let client = read(&[ID, SECRET, api, ("AUTH_API_ISSUER", "https://auth.test")]).unwrap();
        assert_eq!(
            client.key.endpoint,
            TokenEndpoint::Issuer("https://auth.test".into())
        );
        let client = read(&[ID, SECRET, api, ("SERVICE_TOKEN_URL", "")]).unwrap();
        assert_eq!(
            client.key.endpoint,
            TokenEndpoint::Issuer("http://localhost:8000".into())
        );
    }

    #[test]
    fn a_missing_or_wrong_variable_is_named() {
        assert_eq!(
            read(&[SECRET, URL]).unwrap_err(),
            SettingsError::Missing("SERVICE_CLIENT_ID")
        );
        assert_eq!(
            read(&[ID, URL]).unwrap_err(),
            SettingsError::Missing("SERVICE_CLIENT_SECRET")
        );
        assert_eq!(
            read(&[ID, SECRET]).unwrap_err(),
            SettingsError::Missing("SERVICE_TOKEN_URL")
        );
        let wrong = read(&[ID, SECRET, ("SERVICE_TOKEN_URL", "file:///x")]).unwrap_err();
        assert!(
            wrong
                .to_string()
                .starts_with("SERVICE_TOKEN_URL is not usable"),
            "{wrong}"
        );
        let wrong = read(&[ID, SECRET, URL, ("SERVICE_SCOPE", "a\"b")]).unwrap_err();
        assert!(wrong.to_string().starts_with("SERVICE_SCOPE"), "{wrong}");
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(!format!("{:?}", read(&[ID, SECRET, URL]).unwrap()).contains("s3cret"));
    }
}
