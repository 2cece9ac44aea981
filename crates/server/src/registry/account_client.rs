//! The client under which the server's own sign-in issues tokens: public, and good for nothing at the token endpoint
//! but renewing them. It is a record like any other, so that families, audit lines and revocations can name it.

use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_store::{AuditContext, AuthMethod, Client, RegisterClient, Store, Timestamp};

use crate::app::StartError;

/// Its id.
pub const ACCOUNT_CLIENT: &str = "tokensmith-account";
/// What tokens of a sign-in hold.
const SCOPE: &str = "openid profile email";

/// Registers it, unless it is there.
///
/// # Errors
/// When the store does not answer.
pub async fn ensure_account_client(store: &Store, now: Timestamp) -> Result<(), StartError> {
    let client = record(now).map_err(StartError::Declared)?;
    if store.client(&client.client_id).await?.is_none() {
        let context = AuditContext::system(now);
        store.write(RegisterClient { client, context }).await?;
    }
    Ok(())
}

fn record(now: Timestamp) -> Result<Client, String> {
    Ok(Client {
        client_id: ClientId::parse(ACCOUNT_CLIENT).map_err(|error| error.to_string())?,
        name: "Sign-in of this server".to_owned(),
        auth_method: AuthMethod::None,
        secrets: Vec::new(),
        grant_types: vec![GrantType::RefreshToken],
        scope: Scope::parse(SCOPE).map_err(|error| error.to_string())?,
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: now,
        updated_at: now,
    })
}
