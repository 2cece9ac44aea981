//! A key that may sign, opened: its private half here in memory, or its name at the external signer.

use std::sync::Arc;

use serde::Serialize;
use tokensmith_jose::{Algorithm, ExternalSigner, SignError, Signer, SigningKey, TokenSigner};
use tokensmith_store::{SigningKeyRecord, Timestamp};

use super::{
    ACCESS_TOKEN_TYPE, CHECKPOINT_TYPE, Ground, INTROSPECTION_TYPE, aad, algorithm_of,
    external::{ExternalKey, referred},
    public_jwk, unusable,
};
use crate::app::StartError;

/// Signs with a key, wherever that is. One in memory answers without waiting.
#[derive(Debug)]
pub enum KeySigner {
    /// The private half is here.
    Held(Signer),
    /// An external signer has it.
    External(TokenSigner),
}

impl KeySigner {
    /// Serializes the claims and signs them.
    ///
    /// # Errors
    /// [`SignError`]; of a key in memory only the two that cannot happen to our own claims.
    pub async fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        match self {
            Self::Held(signer) => signer.sign(claims),
            Self::External(signer) => signer.sign(claims).await,
        }
    }
}

/// A key with its times and a signer for each kind of token.
pub struct InUse {
    pub(super) algorithm: Algorithm,
    pub(super) created_at: Timestamp,
    pub(super) is_external: bool,
    signs_from: Timestamp,
    signs_until: Option<Timestamp>,
    pub(super) access_tokens: KeySigner,
    pub(super) checkpoints: KeySigner,
    pub(super) introspection: KeySigner,
}

impl InUse {
    pub(super) fn open(ground: &Ground, record: &SigningKeyRecord) -> Result<Self, StartError> {
        let key = Opened::from(ground, record)?;
        Ok(Self {
            algorithm: algorithm_of(record)?,
            created_at: record.created_at,
            is_external: matches!(key, Opened::External(_)),
            signs_from: record.signs_from,
            signs_until: record.signs_until,
            access_tokens: key.signer(record, ACCESS_TOKEN_TYPE)?,
            checkpoints: key.signer(record, CHECKPOINT_TYPE)?,
            introspection: key.signer(record, INTROSPECTION_TYPE)?,
        })
    }

    pub(super) fn signs_at(&self, now: Timestamp) -> bool {
        self.signs_from <= now && self.is_not_over(now)
    }

    pub(super) fn is_not_over(&self, now: Timestamp) -> bool {
        self.signs_until.is_none_or(|until| now < until)
    }
}

enum Opened {
    Held(Arc<SigningKey>),
    External(Arc<dyn ExternalSigner>),
}

impl Opened {
    fn from(ground: &Ground, record: &SigningKeyRecord) -> Result<Self, StartError> {
        let sealed = record.sealed_private.as_deref().unwrap_or_default();
        let opened = ground.sealing.open(sealed, aad(&record.kid).as_bytes());
        let opened = opened.map_err(|error| {
            StartError::Keys(format!(
                "the master key does not open signing key {} ({error}): start with the master key it was made with",
                record.kid
            ))
        })?;
        let algorithm = algorithm_of(record)?;
        let Some(name) = referred(&opened) else {
            let key = SigningKey::from_pkcs8(algorithm, &opened).map_err(unusable)?;
            return Ok(Self::Held(Arc::new(key)));
        };
        let socket = ground.socket.clone().ok_or_else(|| {
            StartError::Keys(format!(
                "signing key {} is held by an external signer: set `external_signer.socket`",
                record.kid
            ))
        })?;
        Ok(Self::External(Arc::new(ExternalKey {
            socket,
            name: name.to_owned(),
            algorithm,
        })))
    }

    fn signer(&self, record: &SigningKeyRecord, typ: &str) -> Result<KeySigner, StartError> {
        match self {
            Self::Held(key) => {
                let signer = Signer::new(key.clone(), typ).map_err(unusable)?;
                Ok(KeySigner::Held(signer))
            }
            Self::External(external) => {
                let public = public_jwk(record)?;
                let signer = TokenSigner::new(&public, external.clone(), typ).map_err(unusable)?;
                Ok(KeySigner::External(signer))
            }
        }
    }
}
