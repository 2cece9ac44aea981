//! Client secrets: generated ones carry 256 random bits and are kept as SHA-256; chosen ones are kept as argon2id,
//! with a keyed memory of what was checked before, so that a busy service is not slowed down by its old secret.

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use quick_cache::sync::Cache;
use subtle::ConstantTimeEq;
use tokensmith_jose::{
    HmacKey,
    seal::{SealError, SealingKey},
};
use tokensmith_oauth2::{ClientId, Secret};
use tokensmith_store::{Client, ClientSecret, SecretHash, Timestamp};

use crate::{
    app::App,
    entropy::Entropy,
    error::OAuthError,
    password::{Hashing, Overloaded, Verdict},
};

/// Begins every secret made by [`new_secret`], so that scanners recognise one that leaked.
const GENERATED_PREFIX: &str = "tks_";
const GENERATED_LENGTH: usize = GENERATED_PREFIX.len() + 43;

/// A new client secret with 256 random bits.
pub fn new_secret(entropy: &Entropy) -> Secret {
    Secret::from(format!("{GENERATED_PREFIX}{}", entropy.secret().expose()))
}

/// What is stored of a secret.
///
/// # Errors
/// [`Overloaded`], when too many secrets are being hashed.
pub async fn hash_secret(
    hashing: &Hashing,
    entropy: &Entropy,
    secret: &Secret,
) -> Result<SecretHash, Overloaded> {
    if is_generated(secret) {
        return Ok(SecretHash::Sha256(sha256(secret)));
    }
    hashing
        .hash(secret.clone(), entropy.bytes())
        .await
        .map(SecretHash::Argon2id)
}

/// The secret of a `client_secret_jwt` client as it is stored: it opens with the master key, for this client alone.
///
/// # Errors
/// [`SealError`].
pub fn seal_secret(
    sealing: &SealingKey,
    client: &ClientId,
    secret: &Secret,
) -> Result<SecretHash, SealError> {
    let sealed = sealing.seal(secret.expose().as_bytes(), context(client).as_bytes())?;
    Ok(SecretHash::Sealed(URL_SAFE_NO_PAD.encode(sealed)))
}

fn context(client: &ClientId) -> String {
    format!("client secret {client}")
}

/// The keys of a client's sealed secrets that have not expired. One that does not open is left out.
pub(super) fn sealed_keys(sealing: &SealingKey, client: &Client, now: Timestamp) -> Vec<HmacKey> {
    let is_live = |secret: &&ClientSecret| {
        let until = secret.expires_at.map(Timestamp::from_millis);
        until.is_none_or(|until| now < until)
    };
    let live = client.secrets.iter().filter(is_live);
    live.filter_map(|secret| opened(sealing, &client.client_id, &secret.hash))
        .collect()
}

fn opened(sealing: &SealingKey, client: &ClientId, hash: &SecretHash) -> Option<HmacKey> {
    let SecretHash::Sealed(sealed) = hash else {
        return None;
    };
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let secret = sealing.open(&sealed, context(client).as_bytes());
    let secret = secret.inspect_err(
        |error| tracing::warn!(client_id = %client, %error, "a client's secret does not open"),
    );
    HmacKey::new(&secret.ok()?).ok()
}

fn is_generated(secret: &Secret) -> bool {
    secret.expose().len() == GENERATED_LENGTH && secret.expose().starts_with(GENERATED_PREFIX)
}

fn sha256(secret: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, secret.expose().as_bytes()))
}

/// Remembers which low-entropy secrets were right, as tags under a key that dies with the process.
pub struct SecretMemo {
    key: hmac::Key,
    right: Cache<[u8; 32], ()>,
}

impl SecretMemo {
    /// Remembers at most `capacity` successes.
    pub fn new(capacity: usize, key: [u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            right: Cache::new(capacity),
        }
    }

    /// A tag over secret and stored hash: a changed hash makes a new tag, so the old success is worth nothing.
    fn tag(&self, secret: &Secret, phc: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(phc.len() as u64).to_be_bytes());
        context.update(phc.as_bytes());
        context.update(secret.expose().as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

/// Whether the client has this secret, among those that have not expired.
pub(super) async fn is_one_of(
    app: &App,
    client: &Client,
    secret: &Secret,
    now: Timestamp,
) -> Result<bool, OAuthError> {
    for known in &client.secrets {
        let expired = known
            .expires_at
            .is_some_and(|at| Timestamp::from_millis(at) <= now);
        if !expired && matches(app, &known.hash, secret).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn matches(app: &App, hash: &SecretHash, secret: &Secret) -> Result<bool, OAuthError> {
    match hash {
        // It is a key for assertions, never a secret to be sent.
        SecretHash::Sealed(_) => Ok(false),
        SecretHash::Sha256(known) => Ok(known.as_bytes().ct_eq(sha256(secret).as_bytes()).into()),
        SecretHash::Argon2id(phc) => {
            let memo = &app.client_auth().memo;
            let tag = memo.tag(secret, phc);
            if memo.right.get(&tag).is_some() {
                return Ok(true);
            }
            let verdict = app
                .hashing()
                .verify(secret.clone(), Some(phc.clone()), app.entropy().bytes())
                .await;
            let is_right = verdict.map_err(OAuthError::unavailable)? != Verdict::Wrong;
            if is_right {
                memo.right.insert(tag, ());
            }
            Ok(is_right)
        }
    }
}
