//! The signing keys in use: loaded from the store, opened with the master key, kept parsed.
//!
//! A key is published before it signs, stops signing when its successor begins, stays published until its last token
//! has expired, and is then erased. Refuses to sign with a key whose time has not come or has passed.

mod rotation;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokensmith_jose::{
    Algorithm, Jwk, JwkSet, KeySet, Signer, SigningKey, VerifyingKey, seal::SealingKey,
};
use tokensmith_store::{SigningKeyRecord, Store, Timestamp};

use crate::{app::StartError, config::Config};

pub use rotation::{Rotation, rotate};

/// JWS `typ` of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// JWS `typ` of audit checkpoints.
pub const CHECKPOINT_TYPE: &str = "audit-checkpoint+jwt";

/// JWS `typ` of signed introspection answers (RFC 9701 §5).
pub const INTROSPECTION_TYPE: &str = "token-introspection+jwt";

/// The keys of this moment, replaced as a whole when they change.
pub struct KeyRing {
    current: ArcSwap<Keys>,
    sealing: SealingKey,
}

/// One state of the key ring.
pub struct Keys {
    signing: Vec<InUse>,
    /// Public keys that tokens may still be signed with.
    pub verifying: KeySet,
    /// The JWK set as served (RFC 7517 §5).
    pub jwks: Bytes,
}

struct InUse {
    algorithm: Algorithm,
    created_at: Timestamp,
    signs_from: Timestamp,
    signs_until: Option<Timestamp>,
    access_tokens: Signer,
    checkpoints: Signer,
    introspection: Signer,
}

impl InUse {
    fn signs_at(&self, now: Timestamp) -> bool {
        self.signs_from <= now && self.signs_until.is_none_or(|until| now < until)
    }
}

impl KeyRing {
    /// Loads the keys, and makes a first one for each algorithm that has none.
    ///
    /// # Errors
    /// When the master key does not open a stored key, or the store does not answer.
    pub async fn open(config: &Config, store: &Store, now: Timestamp) -> Result<Self, StartError> {
        let sealing = sealing_key(config)?;
        let mut keys = Keys::load(&sealing, store, now).await?;
        let mut missing = false;
        for algorithm in needed_algorithms(config, store).await? {
            if keys.newest(algorithm, now).is_none() {
                missing = true;
                rotation::first(config, store, &sealing, algorithm, now).await?;
            }
        }
        if missing {
            keys = Keys::load(&sealing, store, now).await?;
        }
        Ok(Self {
            current: ArcSwap::from_pointee(keys),
            sealing,
        })
    }

    /// The keys of this moment.
    pub fn current(&self) -> arc_swap::Guard<Arc<Keys>> {
        self.current.load()
    }

    /// Reads the keys again, after they changed in the store.
    ///
    /// # Errors
    /// As [`KeyRing::open`]; then the keys in use stay.
    pub async fn reload(&self, store: &Store, now: Timestamp) -> Result<(), StartError> {
        self.current
            .store(Arc::new(Keys::load(&self.sealing, store, now).await?));
        Ok(())
    }

    /// The key that seals signing keys at rest.
    pub fn sealing(&self) -> &SealingKey {
        &self.sealing
    }
}

impl Keys {
    async fn load(sealing: &SealingKey, store: &Store, now: Timestamp) -> Result<Self, StartError> {
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
            signing.push(open(sealing, record)?);
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
        })
    }

    /// The signer of access tokens with this algorithm.
    pub fn access_tokens(&self, algorithm: Algorithm, now: Timestamp) -> Option<&Signer> {
        self.newest(algorithm, now).map(|key| &key.access_tokens)
    }

    /// The signer of introspection answers with this algorithm.
    pub fn introspection(&self, algorithm: Algorithm, now: Timestamp) -> Option<&Signer> {
        self.newest(algorithm, now).map(|key| &key.introspection)
    }

    /// A signer of audit checkpoints.
    pub fn checkpoints(&self, now: Timestamp) -> Option<&Signer> {
        self.signing
            .iter()
            .rev()
            .find(|key| key.signs_at(now))
            .map(|key| &key.checkpoints)
    }

    /// How old the key is that signs with this algorithm.
    pub fn age(&self, algorithm: Algorithm, now: Timestamp) -> Option<std::time::Duration> {
        self.newest(algorithm, now)
            .map(|key| now.since(key.created_at))
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

async fn needed_algorithms(config: &Config, store: &Store) -> Result<Vec<Algorithm>, StartError> {
    let mut needed = vec![config.tokens.signing_algorithm];
    for name in store
        .resources()
        .await?
        .into_iter()
        .filter_map(|resource| resource.signing_algorithm)
    {
        let algorithm = Algorithm::from_name(&name).ok_or_else(|| {
            StartError::Declared(format!("a resource names the unknown algorithm {name}"))
        })?;
        if !needed.contains(&algorithm) {
            needed.push(algorithm);
        }
    }
    Ok(needed)
}

fn open(sealing: &SealingKey, record: &SigningKeyRecord) -> Result<InUse, StartError> {
    let sealed = record.sealed_private.as_deref().unwrap_or_default();
    let pkcs8 = sealing.open(sealed, aad(&record.kid).as_bytes()).map_err(|error| {
        StartError::Keys(format!(
            "the master key does not open signing key {} ({error}): start with the master key it was made with",
            record.kid
        ))
    })?;
    let algorithm = algorithm_of(record)?;
    let key = Arc::new(SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(unusable)?);
    Ok(InUse {
        algorithm,
        created_at: record.created_at,
        signs_from: record.signs_from,
        signs_until: record.signs_until,
        access_tokens: Signer::new(key.clone(), ACCESS_TOKEN_TYPE).map_err(unusable)?,
        checkpoints: Signer::new(key.clone(), CHECKPOINT_TYPE).map_err(unusable)?,
        introspection: Signer::new(key, INTROSPECTION_TYPE).map_err(unusable)?,
    })
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
