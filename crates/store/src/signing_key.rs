//! Signing keys: published before use, used, kept published until the last token has expired, then erased.

use crate::{
    AuditContext, AuditEvent, Operation, Row, Store, StoreError, Timestamp, Tx, epoch,
    tx::{FromRow, values},
};

/// A signing key as stored. The private half is sealed under the master key.
#[derive(Clone, Debug)]
pub struct SigningKeyRecord {
    /// RFC 7638 thumbprint of the public key.
    pub kid: String,
    /// JWS `alg`.
    pub algorithm: String,
    /// The public key as a JSON text (RFC 7517).
    pub public_jwk: String,
    /// The sealed PKCS#8; `None` once erased.
    pub sealed_private: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins to sign; before that it is only published.
    pub signs_from: Timestamp,
    /// When it stopped, or stops, signing.
    pub signs_until: Option<Timestamp>,
    /// When it leaves the JWK set.
    pub published_until: Option<Timestamp>,
}

const COLUMNS: &str =
    "SELECT kid, algorithm, public_jwk, sealed_private, created_at, signs_from, signs_until,
    published_until FROM signing_keys ORDER BY signs_from, kid";

impl FromRow for SigningKeyRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            kid: row.text(0)?,
            algorithm: row.text(1)?,
            public_jwk: row.text(2)?,
            sealed_private: row.opt_bytes(3)?,
            created_at: row.time(4)?,
            signs_from: row.time(5)?,
            signs_until: row.opt_time(6)?,
            published_until: row.opt_time(7)?,
        })
    }
}

impl Store {
    /// Every signing key there ever was, oldest first. Erased ones still verify audit checkpoints.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        self.all(COLUMNS, &[]).await
    }
}

/// Adds a key, unless the algorithm already has one that signs at or after `unless_signing_after`.
#[derive(Debug)]
pub struct AddSigningKey {
    /// The key.
    pub key: SigningKeyRecord,
    /// A key that begins to sign later than this is enough; then nothing is added. Two nodes that rotate at once
    /// thus make one key.
    pub unless_signing_after: Timestamp,
    /// When the present keys of this algorithm stop signing.
    pub predecessors_sign_until: Timestamp,
    /// When the present keys of this algorithm leave the JWK set.
    pub predecessors_published_until: Timestamp,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for AddSigningKey {
    /// Whether the key was added.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const LIMIT: &str = "UPDATE signing_keys SET signs_until = $1, published_until = $2
            WHERE algorithm = $3 AND signs_until IS NULL";
        const ADD: &str = "INSERT INTO signing_keys
            (kid, algorithm, public_jwk, sealed_private, created_at, signs_from) VALUES ($1, $2, $3, $4, $5, $6)";
        const NEWER: &str = "SELECT count(*) FROM signing_keys WHERE algorithm = $1 AND signs_until IS NULL AND signs_from > $2";
        // Writing the epoch row first makes concurrent rotations wait for each other on PostgreSQL.
        epoch::advance(tx).await?;
        let key = &self.key;
        let newer: Option<i64> = tx
            .first(NEWER, values![&key.algorithm, self.unless_signing_after])
            .await?;
        if newer.unwrap_or(0) > 0 {
            return Ok(false);
        }
        let limits = (
            self.predecessors_sign_until,
            self.predecessors_published_until,
        );
        tx.execute(LIMIT, values![limits.0, limits.1, &key.algorithm])
            .await?;
        let sealed = key.sealed_private.as_ref();
        tx.execute(
            ADD,
            values![
                &key.kid,
                &key.algorithm,
                &key.public_jwk,
                sealed,
                key.created_at,
                key.signs_from
            ],
        )
        .await?;
        let event = AuditEvent::new("signing_key_added")
            .field("kid", &key.kid)
            .field("alg", &key.algorithm);
        tx.audit(&self.context, event);
        Ok(true)
    }
}

/// Takes a key out of use at once, for instance because it leaked: tokens it signed are refused from now on.
#[derive(Debug)]
pub struct RetireSigningKey {
    /// Which key.
    pub kid: String,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RetireSigningKey {
    /// Whether there was such a key in use.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const RETIRE: &str =
            "UPDATE signing_keys SET signs_until = $1, published_until = $1, sealed_private = NULL
            WHERE kid = $2 AND (published_until IS NULL OR published_until > $1)";
        let won = tx.won(RETIRE, values![self.context.at, &self.kid]).await?;
        if won {
            epoch::advance(tx).await?;
            tx.audit(
                &self.context,
                AuditEvent::new("signing_key_retired").field("kid", &self.kid),
            );
        }
        Ok(won)
    }
}

/// Erases the private half of every key that has stopped signing.
#[derive(Debug)]
pub struct EraseSigningKey {
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for EraseSigningKey {
    /// How many were erased.
    type Outcome = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        const ERASE: &str = "UPDATE signing_keys SET sealed_private = NULL
            WHERE signs_until <= $1 AND sealed_private IS NOT NULL";
        let erased = tx.execute(ERASE, values![self.context.at]).await?;
        if erased > 0 {
            epoch::advance(tx).await?;
            tx.audit(
                &self.context,
                AuditEvent::new("signing_keys_erased").field("count", erased),
            );
        }
        Ok(erased)
    }
}
