//! Making signing keys: the first one at first start, successors by age or by command, always with overlap.

use std::time::Duration;

use tokensmith_jose::{Algorithm, SigningKey, seal::SealingKey};
use tokensmith_store::{AddSigningKey, AuditContext, SigningKeyRecord, Store, Timestamp};

use super::{aad, unusable};
use crate::{app::StartError, config::Config};

/// Resource servers may keep a key set for so long after a token expired by their clock.
const VERIFIER_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A new key was added; it signs from the time given.
    Added {
        /// Its id.
        kid: String,
        /// When it begins to sign.
        signs_from: Timestamp,
    },
    /// Somebody else added one at the same moment.
    AlreadyAdded,
}

/// Makes the first key of an algorithm. It signs at once: nobody has a key set without it yet.
pub(super) async fn first(
    config: &Config,
    store: &Store,
    sealing: &SealingKey,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<(), StartError> {
    // Any key at all is enough: of two nodes that start at once, one makes it.
    let unless_signing_after = Timestamp::from_millis(i64::MIN);
    let context = AuditContext::system(now);
    let successor = Successor {
        algorithm,
        signs_from: now,
        unless_signing_after,
        context,
    };
    add(config, store, sealing, successor).await.map(drop)
}

/// Adds a successor that is published now and signs after the configured notice, or after `notice` if given.
///
/// # Errors
/// When the key cannot be made or stored.
pub async fn rotate(
    config: &Config,
    store: &Store,
    algorithm: Algorithm,
    notice: Option<Duration>,
    context: AuditContext,
) -> Result<Rotation, StartError> {
    let signs_from = context.at + notice.unwrap_or(config.tokens.signing_key_notice);
    let sealing = super::sealing_key(config)?;
    let unless_signing_after = context.at;
    add(
        config,
        store,
        &sealing,
        Successor {
            algorithm,
            signs_from,
            unless_signing_after,
            context,
        },
    )
    .await
}

struct Successor {
    algorithm: Algorithm,
    signs_from: Timestamp,
    /// A key that signs later than this makes the successor unnecessary.
    unless_signing_after: Timestamp,
    context: AuditContext,
}

async fn add(
    config: &Config,
    store: &Store,
    sealing: &SealingKey,
    successor: Successor,
) -> Result<Rotation, StartError> {
    let Successor {
        algorithm,
        signs_from,
        unless_signing_after,
        context,
    } = successor;
    let key = SigningKey::generate(algorithm).map_err(unusable)?;
    let pkcs8 = key.to_pkcs8().map_err(unusable)?;
    let kid = key.kid().to_owned();
    let sealed = sealing
        .seal(&pkcs8, aad(&kid).as_bytes())
        .map_err(unusable)?;
    let record = SigningKeyRecord {
        kid: kid.clone(),
        algorithm: algorithm.as_str().to_owned(),
        public_jwk: serde_json::to_string(key.public_jwk()).map_err(unusable)?,
        sealed_private: Some(sealed),
        created_at: context.at,
        signs_from,
        signs_until: None,
        published_until: None,
    };
    let added = store.write(AddSigningKey {
        key: record,
        unless_signing_after,
        predecessors_sign_until: signs_from,
        predecessors_published_until: signs_from
            + config.tokens.access_token_lifetime
            + VERIFIER_LEEWAY,
        context,
    });
    Ok(if added.await? {
        Rotation::Added { kid, signs_from }
    } else {
        Rotation::AlreadyAdded
    })
}
