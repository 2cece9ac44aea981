//! Devices on which a user need not show the second factor at every sign-in. Kept as SHA-256 of a secret the device
//! holds, good for that user alone, and forgotten when the password changes or the last second factor goes.

use crate::{
    AuditContext, AuditEvent, Operation, Store, StoreError, Timestamp, Tx, UserId, tx::values,
};

/// SHA-256 of the secret that a remembered device holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceDigest(pub [u8; 32]);

impl Store {
    /// Whether this device of this user is remembered.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn device_is_remembered(
        &self,
        user: &UserId,
        device: DeviceDigest,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const FIND: &str = "SELECT user_id FROM remembered_devices
            WHERE digest = $1 AND user_id = $2 AND expires_at > $3";
        let found: Option<String> = self
            .first(FIND, values![device.0.as_slice(), user, now])
            .await?;
        Ok(found.is_some())
    }
}

/// Remembers a device.
#[derive(Debug)]
pub struct RememberDevice {
    /// Whose.
    pub user_id: UserId,
    /// Its secret's digest.
    pub device: DeviceDigest,
    /// Until when.
    pub expires_at: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for RememberDevice {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        const REMEMBER: &str =
            "INSERT INTO remembered_devices (digest, user_id, created_at, expires_at)
            VALUES ($1, $2, $3, $4)";
        let row = values![
            self.device.0.as_slice(),
            &self.user_id,
            self.context.at,
            self.expires_at
        ];
        tx.execute(REMEMBER, row).await?;
        let event = AuditEvent::new("mfa.device_remembered").user(&self.user_id);
        tx.audit(&self.context, event);
        Ok(())
    }
}

/// Forgets every device of a user.
#[derive(Debug)]
pub struct ForgetDevices {
    /// Whose.
    pub user_id: UserId,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ForgetDevices {
    /// How many.
    type Outcome = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, StoreError> {
        let forgotten = forget_all(tx, &self.user_id).await?;
        if forgotten > 0 {
            let event = AuditEvent::new("mfa.devices_forgotten").user(&self.user_id);
            tx.audit(&self.context, event.field("devices", forgotten));
        }
        Ok(forgotten)
    }
}

/// Forgets them without a line of its own: for what has one that says more.
pub(crate) async fn forget_all(tx: &mut Tx<'_>, user: &UserId) -> Result<u64, StoreError> {
    const FORGET: &str = "DELETE FROM remembered_devices WHERE user_id = $1";
    tx.execute(FORGET, values![user]).await
}
