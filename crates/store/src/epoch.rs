//! The configuration epoch: a number that every change to clients, resources, scopes and keys moves on.
//!
//! A node looks at it a few times a second and drops its caches when it moved, so that a change made by another
//! node, or by the command line, is seen everywhere within that time.

use crate::{Store, StoreError, Tx};

/// Called by every operation that changes what nodes keep in memory.
pub(crate) async fn advance(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE configuration_epoch SET epoch = epoch + 1 WHERE id = 1",
        &[],
    )
    .await
    .map(drop)
}

/// Takes the row that every change of declarations locks before it commits. Who begins with it reads what nobody else
/// changes until the end.
pub(crate) async fn lock(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE configuration_epoch SET epoch = epoch WHERE id = 1",
        &[],
    )
    .await
    .map(drop)
}

impl Store {
    /// The current configuration epoch.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn configuration_epoch(&self) -> Result<i64, StoreError> {
        let epoch = self
            .first("SELECT epoch FROM configuration_epoch WHERE id = 1", &[])
            .await?;
        epoch.ok_or_else(|| StoreError::corrupt("the configuration epoch is missing"))
    }
}
