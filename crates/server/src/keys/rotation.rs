//! Making signing keys: the first one at first start, successors by age or by command, always with overlap. A successor
//! is generated here, imported, or held by an external signer.

use std::time::Duration;

use tokensmith_jose::{Algorithm, Jwk, SigningKey};
use tokensmith_store::{AddSigningKey, AuditContext, SigningKeyRecord, Store, Timestamp};
use zeroize::Zeroizing;

use super::{aad, external, unusable};
use crate::{app::StartError, config::Config};

/// Resource servers may keep a key set for so long after a token expired by their clock.
const VERIFIER_LEEWAY: Duration = Duration::from_secs(5 * 60);
/// In this time every node publishes a new key.
pub(super) const EVERY_NODE_KNOWS: Duration = Duration::from_secs(2);

/// Where a successor comes from.
#[derive(Debug)]
pub enum NewKey {
    /// Made here and now.
    Generated(Algorithm),
    /// Brought along.
    Imported(Box<SigningKey>),
    /// Held by the external signer under this name.
    External {
        /// Its name there.
        name: String,
        /// Its public half, with `kid` and `alg`.
        public: Box<Jwk>,
    },
}

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

/// Makes the first key of an algorithm. At start it signs at once: nobody has a key set without it yet.
pub(super) async fn first(
    config: &Config,
    store: &Store,
    algorithm: Algorithm,
    now: Timestamp,
    signs_from: Timestamp,
) -> Result<(), StartError> {
    let successor = Successor {
        material: material(NewKey::Generated(algorithm))?,
        signs_from,
        // Any key at all is enough: of two nodes that start at once, one makes it.
        unless_signing_after: Timestamp::from_millis(i64::MIN),
        context: AuditContext::system(now),
    };
    add(config, store, successor).await.map(drop)
}

/// Adds a successor that is published now and signs after the configured notice, or after `notice` if given.
///
/// # Errors
/// When the key cannot be made or stored.
pub async fn rotate(
    config: &Config,
    store: &Store,
    key: NewKey,
    notice: Option<Duration>,
    context: AuditContext,
) -> Result<Rotation, StartError> {
    let signs_from = context.at + notice.unwrap_or(config.tokens.signing_key_notice);
    let successor = Successor {
        material: material(key)?,
        signs_from,
        unless_signing_after: context.at,
        context,
    };
    add(config, store, successor).await
}

/// So long the last token of a key may live: a resource or a client may ask for more than the setting.
async fn longest_token(config: &Config, store: &Store) -> Result<Duration, StartError> {
    let asked = store.longest_access_token().await?;
    let asked = Duration::from_secs(u64::try_from(asked).unwrap_or(0));
    Ok(asked.max(config.tokens.access_token_lifetime))
}

/// A key as it is stored, before it is sealed.
struct Material {
    public: Jwk,
    private: Zeroizing<Vec<u8>>,
}

fn material(key: NewKey) -> Result<Material, StartError> {
    let held = match key {
        NewKey::External { name, public } => {
            return Ok(Material {
                public: *public,
                private: external::reference(&name).into(),
            });
        }
        NewKey::Imported(key) => *key,
        NewKey::Generated(algorithm) => SigningKey::generate(algorithm).map_err(unusable)?,
    };
    Ok(Material {
        public: held.public_jwk().clone(),
        private: held.to_pkcs8().map_err(unusable)?,
    })
}

struct Successor {
    material: Material,
    signs_from: Timestamp,
    /// A key that signs later than this makes the successor unnecessary.
    unless_signing_after: Timestamp,
    context: AuditContext,
}

async fn add(config: &Config, store: &Store, successor: Successor) -> Result<Rotation, StartError> {
    let signs_from = successor.signs_from;
    let key = record(config, &successor)?;
    let kid = key.kid.clone();
    let added = store.write(AddSigningKey {
        key,
        unless_signing_after: successor.unless_signing_after,
        predecessors_sign_until: signs_from,
        predecessors_published_until: signs_from
            + longest_token(config, store).await?
            + VERIFIER_LEEWAY,
        context: successor.context,
    });
    Ok(if added.await? {
        Rotation::Added { kid, signs_from }
    } else {
        Rotation::AlreadyAdded
    })
}

fn record(config: &Config, successor: &Successor) -> Result<SigningKeyRecord, StartError> {
    let Material { public, private } = &successor.material;
    let (Some(kid), Some(algorithm)) = (public.kid.clone(), public.alg.clone()) else {
        return Err(unusable("it has no kid or no alg"));
    };
    let sealing = super::sealing_key(config)?;
    let sealed = sealing.seal(private, aad(&kid).as_bytes());
    Ok(SigningKeyRecord {
        kid,
        algorithm,
        public_jwk: serde_json::to_string(public).map_err(unusable)?,
        sealed_private: Some(sealed.map_err(unusable)?),
        created_at: successor.context.at,
        signs_from: successor.signs_from,
        signs_until: None,
        published_until: None,
    })
}
