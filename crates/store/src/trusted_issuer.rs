//! Issuers outside whose tokens stand for a client of ours (RFC 7523 §2.1): a build system, a cluster. Which of their
//! tokens stand for which client is said by conditions on claims; nothing else of them is trusted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokensmith_oauth2::{ClientId, Scope};

use crate::{
    AuditContext, AuditEvent, Operation, Row, Store, StoreError, Timestamp, Tx,
    client::json,
    epoch,
    tx::{FromRow, values},
};

/// An issuer, as declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// Its `iss`, compared by code points.
    pub issuer: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Its public keys by value: a JWK set (RFC 7517 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where its JWK set is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The longest life of its tokens in seconds.
    #[serde(default = "an_hour")]
    pub assertion_seconds: i64,
    /// Whether a token is good once, by its `jti`. Off for tokens that a workload keeps in a file and shows again.
    #[serde(default = "yes")]
    pub once: bool,
    /// Which of its tokens stand for which client.
    #[serde(default)]
    pub rules: Vec<WorkloadRule>,
    /// One that is not active is refused.
    #[serde(default = "yes")]
    pub is_active: bool,
}

fn an_hour() -> i64 {
    3600
}

fn yes() -> bool {
    true
}

/// Tokens that meet all conditions stand for one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadRule {
    /// The client.
    pub client_id: ClientId,
    /// For each named claim, the values it may have. A value that ends in `/*` or `:*` stands for everything that
    /// begins like it.
    pub claims: BTreeMap<String, Vec<String>>,
    /// The most that a token may hold; absent: what the client may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The resources a token may be for, the first being the default; empty: those of the client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
}

impl FromRow for TrustedIssuer {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.json(0)
    }
}

impl Store {
    /// Every trusted issuer, by its identifier.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trusted_issuers(&self) -> Result<Vec<TrustedIssuer>, StoreError> {
        self.all("SELECT record FROM trusted_issuers ORDER BY issuer", &[])
            .await
    }

    /// The trusted issuer with exactly this identifier.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trusted_issuer(&self, issuer: &str) -> Result<Option<TrustedIssuer>, StoreError> {
        const BY_ID: &str = "SELECT record FROM trusted_issuers WHERE issuer = $1";
        self.first(BY_ID, values![issuer]).await
    }
}

/// Writes an issuer as it should be, whether or not it existed.
#[derive(Debug)]
pub struct PutTrustedIssuer {
    /// The issuer.
    pub issuer: TrustedIssuer,
    /// What the caller read; `None`: whatever is there. If it changed since, nothing happens.
    pub before: Option<TrustedIssuer>,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for PutTrustedIssuer {
    /// Whether it was written.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const REPLACE: &str = "UPDATE trusted_issuers SET record = $1, updated_at = $2 WHERE issuer = $3 AND record = $4";
        let (id, record) = (&self.issuer.issuer, json(&self.issuer)?);
        let now = self.context.at;
        let won = match &self.before {
            None => self.issuer.put(tx, now).await?,
            Some(before) => {
                let before = json(before)?;
                tx.won(REPLACE, values![&record, now, id, &before]).await?
            }
        };
        if won {
            epoch::advance(tx).await?;
            let event = AuditEvent::new("trusted_issuer_changed").field("issuer", id);
            tx.audit(&self.context, event);
        }
        Ok(won)
    }
}

impl TrustedIssuer {
    /// Writes the record as it should be, whether or not it existed.
    pub(crate) async fn put(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, StoreError> {
        const PUT: &str = "INSERT INTO trusted_issuers (issuer, record, updated_at) VALUES ($1, $2, $3)
            ON CONFLICT (issuer) DO UPDATE SET record = excluded.record, updated_at = excluded.updated_at";
        let record = json(self)?;
        tx.won(PUT, values![&self.issuer, &record, now]).await
    }
}

/// Trusts an issuer no longer.
#[derive(Debug)]
pub struct RemoveTrustedIssuer {
    /// Which one.
    pub issuer: String,
    /// Who asked.
    pub context: AuditContext,
}

impl Operation for RemoveTrustedIssuer {
    /// Whether there was one.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM trusted_issuers WHERE issuer = $1";
        let won = tx.won(REMOVE, values![&self.issuer]).await?;
        if won {
            epoch::advance(tx).await?;
            let event = AuditEvent::new("trusted_issuer_removed").field("issuer", &self.issuer);
            tx.audit(&self.context, event);
        }
        Ok(won)
    }
}
