//! One operation = one named struct = one domain event = one transaction.

use std::future::Future;

use crate::{StoreError, Tx};

/// What must have happened to an operation's bytes before its caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// In the database's log: survives the death of this process, not necessarily a power cut.
    CrashSafe,
    /// Fsynced: survives a power cut. For everything that changes what someone may do.
    PowerSafe,
}

/// A change of the store. It runs as one transaction, or not at all.
///
/// `run` awaits nothing but its [`Tx`]. What the caller concluded from an earlier read is repeated in the WHERE
/// clauses, and the outcome says who won. `run` may be called again after a collision, so it borrows itself.
pub trait Operation: Send + Sync + 'static {
    /// What the caller learns. Expected refusals are variants of it, not errors.
    type Outcome: Send + 'static;

    /// Power-safe unless the operation says otherwise.
    fn durability(&self) -> Durability {
        Durability::PowerSafe
    }

    /// Runs the operation inside a transaction.
    fn run(
        &self,
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<Self::Outcome, StoreError>> + Send;
}
