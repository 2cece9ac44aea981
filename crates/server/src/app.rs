//! What every request shares: configuration, store, keys, declared data, hashing threads, clock and randomness.

use std::sync::Arc;

use tokensmith_jose::dpop::NonceKey;
use tokensmith_store::{AuditContext, AuditEvent, Options, Store, StoreError, Target};

use crate::{
    admin::KeptStatistics,
    client_auth::ClientAuth,
    config::{self, Config, Database, MasterKey},
    dpop,
    entropy::Entropy,
    fetch::{Fetcher, KeySets},
    health::Readiness,
    keys::KeyRing,
    listen::{CertificateError, Certificates},
    mail::Mailer,
    now::Clock,
    pages::FormKey,
    password::{Hashing, PasswordRules},
    rate_limit::Limits,
    registry::{self, Registry},
    revocations::FeedEnd,
    token::{RefreshRoot, VerifiedTokens},
};

/// The running server. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    config: Config,
    certificates: Certificates,
    store: Store,
    keys: KeyRing,
    registry: Registry,
    key_sets: KeySets,
    hashing: Hashing,
    client_auth: ClientAuth,
    refresh_root: RefreshRoot,
    verified_tokens: VerifiedTokens,
    dpop_nonces: NonceKey,
    form_key: FormKey,
    limits: Limits,
    mailer: Mailer,
    password_rules: Arc<PasswordRules>,
    feed_end: FeedEnd,
    clock: Clock,
    entropy: Entropy,
    readiness: Readiness,
    statistics: KeptStatistics,
    started: std::time::Instant,
}

/// Why the server cannot start. One clear sentence each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A signing key cannot be made or opened.
    #[error("{0}")]
    Keys(String),
    /// A file or thread the server needs.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// A certificate or its key.
    #[error("{0}")]
    Certificates(#[from] CertificateError),
    /// Declared data contradicts itself.
    #[error("{0}")]
    Declared(String),
}

impl App {
    /// Opens the store, loads keys and declared data, and starts the hashing threads.
    ///
    /// # Errors
    /// [`StartError`], when any of them cannot be had.
    pub async fn open(config: Config, clock: Clock, entropy: Entropy) -> Result<Self, StartError> {
        let now = clock.now();
        let certificates = Certificates::load(&config)?;
        let hashing = Hashing::start(&config.hashing)?;
        let options = Options {
            keeps_journal: true,
            ..store_options(&config)
        };
        let store = Store::open(&options, now).await?;
        let account_client = registry::ensure_account_client(&store, now);
        let keys = KeyRing::open(&config, &store, now);
        let (keys, ()) = tokio::try_join!(keys, account_client)?;
        let registry = Registry::open(&config, &store).await?;
        let client_auth = ClientAuth::new(config.cache.secret_checks.get(), entropy.bytes());
        let master = master_key(&config)?;
        let refresh_root = RefreshRoot::new(master);
        let verified_tokens = VerifiedTokens::new(config.cache.tokens.get());
        let dpop_nonces = dpop::nonce_key(master);
        let form_key = FormKey::new(master);
        let key_sets = KeySets::new(Fetcher::new(&config.fetch));
        let started = std::time::Instant::now();
        let limits = Limits::new(&config)?;
        let mailer = Mailer::new(&config)?;
        let password_rules = Arc::new(PasswordRules::new(&config.passwords)?);
        let inner = Inner {
            config,
            certificates,
            store,
            keys,
            registry,
            key_sets,
            hashing,
            client_auth,
            refresh_root,
            verified_tokens,
            dpop_nonces,
            form_key,
            limits,
            mailer,
            password_rules,
            feed_end: FeedEnd::default(),
            clock,
            entropy,
            readiness: Readiness::default(),
            statistics: KeptStatistics::default(),
            started,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The configuration it was started with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The server's certificate and the authorities of its clients.
    pub fn certificates(&self) -> &Certificates {
        &self.0.certificates
    }

    /// The records.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The signing keys.
    pub fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    /// Clients, resources and scopes.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The public keys that others publish.
    pub fn key_sets(&self) -> &KeySets {
        &self.0.key_sets
    }

    /// The threads that hash passwords.
    pub fn hashing(&self) -> &Hashing {
        &self.0.hashing
    }

    /// What client authentication remembers.
    pub fn client_auth(&self) -> &ClientAuth {
        &self.0.client_auth
    }

    /// Tokens whose signature was checked lately.
    pub(crate) fn verified_tokens(&self) -> &VerifiedTokens {
        &self.0.verified_tokens
    }

    /// The root key of refresh token secrets.
    pub fn refresh_root(&self) -> &RefreshRoot {
        &self.0.refresh_root
    }

    /// Makes the nonces of DPoP proofs.
    pub fn dpop_nonces(&self) -> &NonceKey {
        &self.0.dpop_nonces
    }

    /// Makes and checks the tokens of the pages' forms.
    pub fn form_key(&self) -> &FormKey {
        &self.0.form_key
    }

    /// How often callers may try.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Where mail goes.
    pub fn mailer(&self) -> &Mailer {
        &self.0.mailer
    }

    /// What a new password must be.
    pub fn password_rules(&self) -> &Arc<PasswordRules> {
        &self.0.password_rules
    }

    /// Where the feed of revocations ends.
    pub fn feed_end(&self) -> &FeedEnd {
        &self.0.feed_end
    }

    /// The clock. Only the edge reads it; see [`crate::now::Now`].
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The source of randomness.
    pub fn entropy(&self) -> &Entropy {
        &self.0.entropy
    }

    /// Whether requests should be sent here.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// What was counted last for administrators.
    pub fn statistics(&self) -> &KeptStatistics {
        &self.0.statistics
    }

    /// How long the server has been up.
    pub fn uptime(&self) -> std::time::Duration {
        self.0.started.elapsed()
    }

    /// Writes an audit line for what changes no record: a stateless grant or a refusal.
    ///
    /// # Errors
    /// When the line could not be written: then the answer must not be given either.
    pub async fn audit(&self, context: AuditContext, event: AuditEvent) -> Result<(), StoreError> {
        if !self.config().audit.enabled {
            return Ok(());
        }
        self.store().record(context, event).await
    }
}

fn master_key(config: &Config) -> Result<&MasterKey, StartError> {
    let master = config.master_key.as_ref();
    master.ok_or_else(|| StartError::Keys("no master key is configured".to_owned()))
}

/// How the store of this configuration is opened.
pub fn store_options(config: &Config) -> Options {
    let target = match &config.database {
        Database::Sqlite(path) => Target::Sqlite(path.clone()),
        Database::Postgres(url) => Target::Postgres(url.expose().to_owned()),
    };
    let everything_power_safe = config.audit.durability == config::Durability::Power;
    Options {
        everything_power_safe,
        ..Options::new(target)
    }
}
