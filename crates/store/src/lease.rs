//! Leases: any node may run a job, one does.

use std::time::Duration;

use crate::{Operation, StoreError, Timestamp, Tx, tx::values};

/// The right to run a job until a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The caller holds it.
    Held,
    /// Somebody else does.
    Taken,
}

/// Takes or prolongs a lease, if nobody else holds it.
#[derive(Debug)]
pub struct TakeLease {
    /// The job's name.
    pub name: &'static str,
    /// The node that asks.
    pub holder: String,
    /// For how long.
    pub span: Duration,
    /// Now.
    pub now: Timestamp,
}

impl Operation for TakeLease {
    type Outcome = Lease;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Lease, StoreError> {
        const TAKE: &str = "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
            WHERE leases.holder = excluded.holder OR leases.expires_at <= $4";
        let until = self.now + self.span;
        let won = tx
            .won(TAKE, values![self.name, &self.holder, until, self.now])
            .await?;
        Ok(if won { Lease::Held } else { Lease::Taken })
    }
}

/// Gives a lease back early.
#[derive(Debug)]
pub struct ReleaseLease {
    /// The job's name.
    pub name: &'static str,
    /// The node that held it.
    pub holder: String,
}

impl Operation for ReleaseLease {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.execute(
            "DELETE FROM leases WHERE name = $1 AND holder = $2",
            values![self.name, &self.holder],
        )
        .await
        .map(drop)
    }
}
