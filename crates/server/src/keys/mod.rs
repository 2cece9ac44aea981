//! The signing keys in use: loaded from the store, opened with the master key, kept parsed.
//!
//! A key is published before it signs, stops signing when its successor begins, stays published until its last token
//! has expired, and is then erased. Refuses to sign with a key whose time has not come or has passed, and with a
//! shared secret for any but the resources that are declared so.

mod external;
mod needed;
mod rotation;
mod shared;
mod signers;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokensmith_jose::{Algorithm, Jwk, JwkSet, KeySet, VerifyingKey, seal::SealingKey};
use tokensmith_store::{SigningKeyRecord, Store, Timestamp};

use self::{needed::needed_algorithms, shared::SharedKey};
use crate::{app::StartError, config::Config};

pub use external::SignerSocket;
pub use needed::check_declared;
pub use rotation::{NewKey, Rotation, rotate};
pub use signers::{InUse, KeySigner};

/// JWS `typ` of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// JWS `typ` of audit checkpoints.
pub const CHECKPOINT_TYPE: &str = "audit-checkpoint+jwt";

/// JWS `typ` of signed introspection answers (RFC 9701 §5).
pub const INTROSPECTION_TYPE: &str = "token-introspection+jwt";

/// The keys of this moment, replaced as a whole when they change.
pub struct KeyRing {
    current: ArcSwap<Keys>,
    ground: Ground,
}

/// What keys are opened and reached with.
struct Ground {
    sealing: SealingKey,
    socket: Option<Arc<SignerSocket>>,
    shared: Option<SharedKey>,
}

/// One state of the key ring.
pub struct Keys {
    signing: Vec<InUse>,
    /// Public keys that tokens may still be signed with.
    pub verifying: KeySet,
    /// The JWK set as served (RFC 7517 §5).
    pub jwks: Bytes,
    shared: Option<SharedKey>,
}

impl KeyRing {
    /// Loads the keys, and makes a first one for each algorithm that has none.
    ///
    /// # Errors
    /// When the master key does not open a stored key, a declared resource cannot have its tokens signed, or the store
    /// does not answer.
    pub async fn open(config: &Config, store: &Store, now: Timestamp) -> Result<Self, StartError> {
        for resource in store.resources().await? {
            check_declared(config, &resource).map_err(StartError::Declared)?;
        }
        let ground = Ground {
            sealing: sealing_key(config)?,
            socket: SignerSocket::new(&config.external_signer),
            shared: SharedKey::open(config)?,
        };
        let mut keys = Keys::load(&ground, store, now).await?;
        let missing = keys.missing(&needed_algorithms(config, store).await?, now);
        for algorithm in &missing {
            rotation::first(config, store, *algorithm, now, now).await?;
        }
        if !missing.is_empty() {
            keys = Keys::load(&ground, store, now).await?;
        }
        Ok(Self {
            current: ArcSwap::from_pointee(keys),
            ground,
        })
    }

    /// The keys of this moment.
    pub fn current(&self) -> arc_swap::Guard<Arc<Keys>> {
        self.current.load()
    }

    /// Reads the keys again, after they changed in the store, and makes one for an algorithm that a newly declared
    /// resource asks for. Every node publishes that one before any signs with it.
    ///
    /// # Errors
    /// As [`KeyRing::open`]; then the keys in use stay.
    pub async fn reload(
        &self,
        config: &Config,
        store: &Store,
        now: Timestamp,
    ) -> Result<(), StartError> {
        let keys = Keys::load(&self.ground, store, now).await?;
        let missing = keys.missing(&needed_algorithms(config, store).await?, now);
        self.current.store(Arc::new(keys));
        for algorithm in &missing {
            let signs_from = now + rotation::EVERY_NODE_KNOWS;
            rotation::first(config, store, *algorithm, now, signs_from).await?;
        }
        if !missing.is_empty() {
            let keys = Keys::load(&self.ground, store, now).await?;
            self.current.store(Arc::new(keys));
        }
        Ok(())
    }

    /// The key that seals signing keys at rest.
    pub fn sealing(&self) -> &SealingKey {
        &self.ground.sealing
    }
}

impl Keys {
    async fn load(ground: &Ground, store: &Store, now: Timestamp) -> Result<Self, StartError> {
        let records = store.signing_keys().await?;
        let published: Vec<_> = records
            .iter()
            .filter(|key| key.published_until.is_none_or(|until| now < until))
            .collect();
        let mut signing = Vec::new();
        for record in published
            .iter()
            .filter(|record| record.sealed_private.is_some())
        {
            signing.push(InUse::open(ground, record)?);
        }
        let jwks = published
            .iter()
            .map(|record| public_jwk(record))
            .collect::<Result<Vec<_>, _>>()?;
        let verifying = jwks
            .iter()
            .map(VerifyingKey::from_jwk)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unusable)?;
        let verifying = KeySet::new(verifying).map_err(unusable)?;
        let jwks = serde_json::to_vec(&JwkSet { keys: jwks }).map_err(unusable)?;
        Ok(Self {
            signing,
            verifying,
            jwks: jwks.into(),
            shared: ground.shared.clone(),
        })
    }

    /// The signer of access tokens with this algorithm.
    pub fn access_tokens(&self, algorithm: Algorithm, now: Timestamp) -> Option<&KeySigner> {
        if algorithm == Algorithm::Hs256 {
            return self.shared.as_ref().map(|shared| &*shared.signer);
        }
        self.newest(algorithm, now).map(|key| &key.access_tokens)
    }

    /// The signer of introspection answers with this algorithm.
    pub fn introspection(&self, algorithm: Algorithm, now: Timestamp) -> Option<&KeySigner> {
        self.newest(algorithm, now).map(|key| &key.introspection)
    }

    /// A signer of audit checkpoints.
    pub fn checkpoints(&self, now: Timestamp) -> Option<&KeySigner> {
        self.signing
            .iter()
            .rev()
            .find(|key| key.signs_at(now))
            .map(|key| &key.checkpoints)
    }

    /// What verifies tokens under the shared secret. They prove nothing but that somebody knows the secret, so they
    /// are good for no API of this server.
    pub fn shared(&self) -> Option<&KeySet> {
        self.shared.as_ref().map(|shared| &*shared.verifying)
    }

    /// How old the key is that signs with this algorithm.
    pub fn age(&self, algorithm: Algorithm, now: Timestamp) -> Option<std::time::Duration> {
        self.newest(algorithm, now)
            .map(|key| now.since(key.created_at))
    }

    /// Whether the newest key of this algorithm, which may be one that does not sign yet, is held by an external signer.
    pub fn is_external(&self, algorithm: Algorithm) -> bool {
        let mut newest = self.signing.iter().rev();
        newest
            .find(|key| key.algorithm == algorithm)
            .is_some_and(|key| key.is_external)
    }

    /// Algorithms with a key that signs now.
    pub fn algorithms(&self, now: Timestamp) -> Vec<Algorithm> {
        let mut found: Vec<Algorithm> = Vec::new();
        for key in self.signing.iter().filter(|key| key.signs_at(now)) {
            if !found.contains(&key.algorithm) {
                found.push(key.algorithm);
            }
        }
        found
    }

    /// Those of these algorithms for which no key signs, nor waits for its time.
    fn missing(&self, needed: &[Algorithm], now: Timestamp) -> Vec<Algorithm> {
        let is_there = |algorithm: Algorithm| {
            let mut keys = self.signing.iter();
            keys.any(|key| key.algorithm == algorithm && key.is_not_over(now))
        };
        let needed = needed.iter().copied();
        needed.filter(|algorithm| !is_there(*algorithm)).collect()
    }

    fn newest(&self, algorithm: Algorithm, now: Timestamp) -> Option<&InUse> {
        self.signing
            .iter()
            .rev()
            .find(|key| key.algorithm == algorithm && key.signs_at(now))
    }
}

/// The key of the configuration's master key: its id says which master key sealed something, and nothing more.
pub fn sealing_key(config: &Config) -> Result<SealingKey, StartError> {
    let master = config
        .master_key
        .as_ref()
        .ok_or_else(|| StartError::Keys("no master key is configured".into()))?;
    let id = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &[b"master key id", master.expose().as_slice()].concat(),
    );
    let id: String = id.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    SealingKey::new(id, master.expose()).map_err(unusable)
}

fn algorithm_of(record: &SigningKeyRecord) -> Result<Algorithm, StartError> {
    Algorithm::from_name(&record.algorithm).ok_or_else(|| {
        StartError::Keys(format!(
            "signing key {} has the unknown algorithm {}",
            record.kid, record.algorithm
        ))
    })
}

fn public_jwk(record: &SigningKeyRecord) -> Result<Jwk, StartError> {
    serde_json::from_str(&record.public_jwk).map_err(unusable)
}

/// What a sealed signing key is bound to: its own id.
fn aad(kid: &str) -> String {
    format!("signing key {kid}")
}

fn unusable(error: impl std::fmt::Display) -> StartError {
    StartError::Keys(format!("a signing key cannot be used: {error}"))
}
