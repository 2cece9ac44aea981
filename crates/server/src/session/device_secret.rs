//! Remembered devices: a secret that a device holds by its user's choice, in place of the second factor. It raises
//! nothing: what was proved is still one factor, and whatever asks for two asks again.

use tokensmith_oauth2::Secret;
use tokensmith_store::{DeviceDigest, RememberDevice, UserId};

use super::pending::sha256;
use crate::{app::App, context::RequestContext, error::ApiError};

/// Remembers a device of this user, and gives the secret that it is to hold.
///
/// # Errors
/// 503.
pub async fn remember_device(
    app: &App,
    user: &UserId,
    context: &RequestContext,
) -> Result<Secret, ApiError> {
    let secret = app.entropy().secret();
    let remember = RememberDevice {
        user_id: user.clone(),
        device: digest_of(&secret),
        expires_at: context.now + app.config().session.remembered_device_lifetime,
        context: context.audit(Some(format!("user:{user}"))),
    };
    app.store().write(remember).await?;
    Ok(secret)
}

pub(super) async fn is_remembered(
    app: &App,
    user: &UserId,
    secret: Option<&Secret>,
    context: &RequestContext,
) -> Result<bool, ApiError> {
    let Some(secret) = secret else {
        return Ok(false);
    };
    let device = digest_of(secret);
    Ok(app
        .store()
        .device_is_remembered(user, device, context.now)
        .await?)
}

fn digest_of(secret: &Secret) -> DeviceDigest {
    DeviceDigest(sha256(secret.expose().as_bytes()))
}
