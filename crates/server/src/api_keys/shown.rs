//! A key that is being shown: whether it is good now, and what it permits now. Owner, organization and rights are read at
//! every use; the last use is noted once a minute at most.

use std::time::Duration;

use tokensmith_oauth2::{ClientId, Scope};
use tokensmith_store::{ApiKey, ApiKeyOwner, StoreError, Timestamp, TouchApiKey, User, UserId};

use super::text;
use crate::{
    app::App,
    registry::{ACCOUNT_CLIENT, Authority, InOrganization},
};

/// How exact the last use is.
const NOTED: Duration = Duration::from_secs(60);

/// A good key.
#[derive(Debug)]
pub struct ShownKey {
    /// The record.
    pub key: ApiKey,
    /// Its user, for a person's key.
    pub user: Option<User>,
    /// What it permits at this moment: what it was made with, less what its owner has lost.
    pub scope: Scope,
    /// The permissions of its user that its scope names.
    pub permissions: Vec<String>,
}

/// Looks at a key.
///
/// # Errors
/// When the store does not answer.
pub async fn shown(app: &App, shown: &str, now: Timestamp) -> Result<Option<ShownKey>, StoreError> {
    let Some(presented) = text::read(shown) else {
        return Ok(None);
    };
    let key = app.store().api_key(presented.id).await?;
    let is_it = |key: &ApiKey| {
        let same =
            aws_lc_rs::constant_time::verify_slices_are_equal(&key.digest, &presented.digest);
        same.is_ok() && key.is_live(now)
    };
    let Some(key) = key.filter(is_it) else {
        return Ok(None);
    };
    let good = match key.owner.clone() {
        ApiKeyOwner::User(user) => of_user(app, key, &user).await?,
        ApiKeyOwner::Client(client) => of_client(app, key, &client).await?,
    };
    if let Some(shown) = &good {
        note_use(app, &shown.key, now).await?;
    }
    Ok(good)
}

/// What a user may put into a key: the scope of the server's own sign-in, and every permission held, as a scope of the same
/// name. Nothing of the server itself.
pub(super) fn within(app: &App, authority: &Authority, account: &Scope, scope: &Scope) -> Scope {
    let declared = app.registry().declared();
    let allowed = |token: &&str| {
        !token.starts_with(crate::registry::RESERVED)
            && (declared.hierarchy.permits(account, token)
                || authority.permissions.contains(*token))
    };
    let kept: Vec<&str> = scope.iter().filter(allowed).collect();
    Scope::parse(&kept.join(" ")).unwrap_or_default()
}

async fn of_user(app: &App, key: ApiKey, id: &UserId) -> Result<Option<ShownKey>, StoreError> {
    let Some(user) = app.store().user(id).await?.filter(|user| user.is_active) else {
        return Ok(None);
    };
    let Some(authority) = authority(app, &user, &key).await? else {
        return Ok(None);
    };
    let scope = within(app, &authority, &account_scope(app).await?, &key.scope);
    let permissions = authority.permissions.into_iter();
    Ok(Some(ShownKey {
        permissions: permissions.filter(|one| scope.contains(one)).collect(),
        scope,
        user: Some(user),
        key,
    }))
}

/// `None` when the membership of the key's organization is over.
async fn authority(app: &App, user: &User, key: &ApiKey) -> Result<Option<Authority>, StoreError> {
    let declared = app.registry().declared().clone();
    let Some(org) = &key.org_id else {
        return Ok(Some(declared.authority(&user.roles, None)));
    };
    let membership = app.store().membership(org, &user.id).await?;
    Ok(membership.map(|membership| {
        let in_org = InOrganization {
            role: membership.role,
            roles: &membership.roles,
        };
        declared.authority(&user.roles, Some(in_org))
    }))
}

pub(super) async fn account_scope(app: &App) -> Result<Scope, StoreError> {
    let Ok(id) = ClientId::parse(ACCOUNT_CLIENT) else {
        return Ok(Scope::default());
    };
    let client = app.registry().client(app.store(), &id).await?;
    Ok(client
        .map(|client| client.allowed_scope.clone())
        .unwrap_or_default())
}

async fn of_client(app: &App, key: ApiKey, id: &ClientId) -> Result<Option<ShownKey>, StoreError> {
    let client = app.registry().client(app.store(), id).await?;
    let active = client.filter(|client| client.client.is_active);
    Ok(active.map(|client| ShownKey {
        scope: key.scope.intersection(&client.allowed_scope),
        permissions: Vec::new(),
        user: None,
        key,
    }))
}

async fn note_use(app: &App, key: &ApiKey, now: Timestamp) -> Result<(), StoreError> {
    let before = now - NOTED;
    if key.last_used_at.is_some_and(|noted| noted >= before) {
        return Ok(());
    }
    let id = key.id.clone();
    app.store().write(TouchApiKey { id, now, before }).await
}
