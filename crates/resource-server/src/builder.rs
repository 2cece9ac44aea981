//! Settings of a resource server, checked once at start.
//! Refuses keys over plain HTTP beyond loopback, empty identifiers and weak shared secrets.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokensmith_jose::dpop::NonceKey;
use tokensmith_jose::{JwkSet, KeyError};
use tokensmith_oauth2::ScopeHierarchy;
use tokensmith_oauth2::metadata::{OAUTH_AUTHORIZATION_SERVER, well_known_url};
use url::Url;

use crate::dpop::Dpop;
use crate::keys::{Fetch, Keys, Lifetimes, Source, is_safe};
use crate::legacy::Legacy;
use crate::seen::Seen;
use crate::server::{Revocations, Shared};
use crate::{Clock, Replays, ResourceServer};

/// Why the settings cannot work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Issuer or audience is empty.
    #[error("issuer and audience may not be empty")]
    Identifier,
    /// The issuer or the JWKS address is no URL that may be fetched: https, or http on loopback.
    #[error("{0} is neither an https address nor one of this machine")]
    Address(String),
    /// The public address is no http or https address without query and fragment.
    #[error("{0} is no http or https address that a path can follow")]
    PublicAddress(String),
    /// The configured key set is unusable.
    #[error("the configured keys: {0}")]
    Keys(#[from] KeyError),
    /// Only HS256 works with a shared secret.
    #[error("the algorithm of the shared secret must be HS256")]
    LegacyAlgorithm,
    /// The shared secret is short or well known.
    #[error("the shared secret must be random and have at least 32 bytes")]
    WeakSecret,
    /// The HTTP client could not be set up.
    #[error("the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Settings of a [`ResourceServer`]; everything but issuer and audience has a default.
pub struct Builder {
    issuer: String,
    audience: String,
    keys: KeySetting,
    allow_plain_http: bool,
    legacy: Option<(String, String)>,
    lifetimes: Lifetimes,
    remembered_tokens: usize,
    clock: Clock,
    revocations: Option<Arc<dyn Revocations>>,
    public_url: Option<String>,
    dpop_nonces: Option<NonceKey>,
    replays: Option<Arc<dyn Replays>>,
    remembered_proofs: usize,
    hierarchy: ScopeHierarchy,
    scopes_supported: Vec<String>,
    resource_metadata: Option<String>,
}

enum KeySetting {
    Metadata,
    JwksUri(String),
    Fixed(JwkSet),
}

impl Builder {
    pub(crate) fn new(issuer: String, audience: String) -> Self {
        let lifetimes = Lifetimes {
            fresh: Duration::from_secs(300),
            usable: Duration::from_secs(3600),
            interval: Duration::from_secs(10),
        };
        Self {
            issuer,
            audience,
            keys: KeySetting::Metadata,
            allow_plain_http: false,
            legacy: None,
            lifetimes,
            remembered_tokens: 10_000,
            clock: Clock::system(),
            revocations: None,
            public_url: None,
            dpop_nonces: None,
            replays: None,
            remembered_proofs: 200_000,
            hierarchy: ScopeHierarchy::default(),
            scopes_supported: Vec::new(),
            resource_metadata: None,
        }
    }

    /// Fetches the keys from this address instead of reading it from the issuer's metadata.
    pub fn jwks_uri(self, address: impl Into<String>) -> Self {
        Self {
            keys: KeySetting::JwksUri(address.into()),
            ..self
        }
    }

    /// Uses these keys and fetches nothing.
    pub fn jwk_set(self, keys: JwkSet) -> Self {
        Self {
            keys: KeySetting::Fixed(keys),
            ..self
        }
    }

    /// Lets keys come over plain HTTP from other machines; for closed networks only.
    pub fn allow_plain_http(self) -> Self {
        Self {
            allow_plain_http: true,
            ..self
        }
    }

    /// Also accepts tokens signed with a shared secret, `typ` JWT or absent: the old `JWT_SECRET_KEY` and
    /// `JWT_ALGORITHM`. Logs a warning, since every holder of the secret can forge tokens.
    pub fn legacy_shared_secret(
        self,
        secret: impl Into<String>,
        algorithm: impl Into<String>,
    ) -> Self {
        Self {
            legacy: Some((secret.into(), algorithm.into())),
            ..self
        }
    }

    /// How long fetched keys serve before they are fetched again; 5 minutes. After twice that a request waits for them.
    pub fn keys_fresh_for(mut self, time: Duration) -> Self {
        self.lifetimes.fresh = time;
        self
    }

    /// How long fetched keys serve while the issuer does not answer; 1 hour.
    pub fn keys_usable_for(mut self, time: Duration) -> Self {
        self.lifetimes.usable = time;
        self
    }

    /// The least time between two fetches, whatever key ids arrive; 10 seconds.
    pub fn key_fetch_interval(mut self, time: Duration) -> Self {
        self.lifetimes.interval = time;
        self
    }

    /// How many verified tokens are remembered; 10,000.
    pub fn remembered_tokens(self, count: usize) -> Self {
        Self {
            remembered_tokens: count,
            ..self
        }
    }

    /// Reads the time elsewhere, for tests.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Asks this before it accepts a token.
    pub fn revocations(self, revocations: Arc<dyn Revocations>) -> Self {
        Self {
            revocations: Some(revocations),
            ..self
        }
    }

    /// Takes tokens that are bound to a key (DPoP, RFC 9449), too. `address` is where callers reach this service, for
    /// instance `https://api.example.com/chat`: a proof must name it followed by the path of its request.
    pub fn public_url(self, address: impl Into<String>) -> Self {
        Self {
            public_url: Some(address.into()),
            ..self
        }
    }

    /// Demands that proofs repeat a nonce of this service (RFC 9449 section 9). Processes that stand for one service
    /// share the secret; nothing is remembered.
    pub fn dpop_nonces(self, secret: impl AsRef<[u8]>) -> Self {
        Self {
            dpop_nonces: Some(NonceKey::new(secret.as_ref())),
            ..self
        }
    }

    /// Remembers used proofs here instead of in this process.
    pub fn replays(self, replays: Arc<dyn Replays>) -> Self {
        Self {
            replays: Some(replays),
            ..self
        }
    }

    /// How many used proofs are remembered in this process; 200,000. Past it old proofs are refused with 503.
    pub fn remembered_proofs(self, count: usize) -> Self {
        Self {
            remembered_proofs: count,
            ..self
        }
    }

    /// Which scopes imply others; none do unless declared.
    pub fn scope_hierarchy(self, hierarchy: ScopeHierarchy) -> Self {
        Self { hierarchy, ..self }
    }

    /// The scopes that the protected resource metadata lists.
    pub fn scopes_supported<T: Into<String>>(self, scopes: impl IntoIterator<Item = T>) -> Self {
        Self {
            scopes_supported: scopes.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Names the protected resource metadata at this address in every challenge (RFC 9728 section 5.1).
    pub fn resource_metadata_url(self, address: impl Into<String>) -> Self {
        Self {
            resource_metadata: Some(address.into()),
            ..self
        }
    }

    /// Checks the settings. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn build(self) -> Result<ResourceServer, ConfigError> {
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err(ConfigError::Identifier);
        }
        let keys = self.open_keys()?;
        let dpop = match &self.public_url {
            Some(address) => {
                check_public_url(address)?;
                Some(Dpop::new(
                    address,
                    self.dpop_nonces,
                    self.replays,
                    self.remembered_proofs,
                ))
            }
            None => None,
        };
        let legacy = self
            .legacy
            .map(|(secret, algorithm)| Legacy::new(&secret, &algorithm))
            .transpose()?;
        Ok(ResourceServer::from_shared(Shared {
            issuer: self.issuer,
            audience: self.audience,
            keys,
            legacy,
            seen: Seen::new(self.remembered_tokens),
            clock: self.clock,
            revocations: self.revocations,
            dpop,
            hierarchy: self.hierarchy,
            scopes_supported: self.scopes_supported,
            resource_metadata: self.resource_metadata.map(Arc::from),
        }))
    }

    fn open_keys(&self) -> Result<Arc<Keys>, ConfigError> {
        let source = match &self.keys {
            KeySetting::Fixed(document) => {
                return Ok(Keys::fixed(document.clone(), self.lifetimes)?);
            }
            KeySetting::JwksUri(address) => Source::JwksUri(self.safe(address, address)?),
            KeySetting::Metadata => {
                let address =
                    well_known_url(&self.issuer, OAUTH_AUTHORIZATION_SERVER).unwrap_or_default();
                self.safe(&address, &self.issuer)?;
                Source::Issuer(self.issuer.clone())
            }
        };
        Ok(Keys::fetched(
            Fetch::new(source, self.allow_plain_http)?,
            self.lifetimes,
        ))
    }

    fn safe(&self, address: &str, shown: &str) -> Result<Url, ConfigError> {
        let safe = Url::parse(address)
            .ok()
            .filter(|address| is_safe(address, self.allow_plain_http));
        safe.ok_or_else(|| ConfigError::Address(shown.to_owned()))
    }
}

/// An http or https address to which a path can be added. TLS may end before this service, so it is not demanded here.
fn check_public_url(address: &str) -> Result<(), ConfigError> {
    let url = Url::parse(address).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
    });
    url.map(drop)
        .ok_or_else(|| ConfigError::PublicAddress(address.to_owned()))
}
