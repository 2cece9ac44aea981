//! The demo clients and the scopes there are.

use futures_util::future::try_join_all;
use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_store::{
    AuditContext, AuthMethod, Client, ClientSecret, PutScope, RegisterClient, ScopeDeclaration,
    SecretHash,
};

use super::{AUDIENCE, hash, unusable};
use crate::app::{App, StartError};

/// A demo client.
#[derive(Clone, Copy, Debug)]
pub struct DemoClient {
    /// Its `client_id`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Its secret; `None` for a public client.
    pub secret: Option<&'static str>,
    /// What it may ask for.
    pub scope: &'static str,
    /// The role its tokens carry for the older services.
    pub role: Option<&'static str>,
    /// Its redirect URIs.
    pub redirect_uris: &'static [&'static str],
}

/// The demo clients.
pub const CLIENTS: [DemoClient; 4] = [
    DemoClient {
        id: "chat-api-service",
        name: "Chat service",
        secret: Some("your-service-secret-change-in-production"),
        scope: "groups:read members:read",
        role: None,
        redirect_uris: &[],
    },
    DemoClient {
        id: "test_client",
        name: "Test client",
        secret: Some("test_secret"),
        scope: "read write",
        role: Some("user"),
        redirect_uris: &[],
    },
    DemoClient {
        id: "admin_client",
        name: "Admin client",
        secret: Some("admin_secret"),
        scope: "read write admin",
        role: Some("admin"),
        redirect_uris: &[],
    },
    DemoClient {
        id: "demo-spa",
        name: "Demo web page",
        secret: None,
        scope: "openid profile email groups:read members:read",
        role: None,
        redirect_uris: &[
            "http://localhost:8001/callback",
            "http://127.0.0.1/callback",
        ],
    },
];

/// Name, meaning, and what it implies.
const SCOPES: [(&str, &str, &[&str]); 10] = [
    (
        "groups:admin",
        "Manage groups and who may manage them.",
        &["groups:write"],
    ),
    (
        "groups:write",
        "Create and change groups.",
        &["groups:read"],
    ),
    ("groups:read", "Read groups and their members.", &[]),
    ("members:read", "Read the members of groups.", &[]),
    ("read", "Read.", &[]),
    ("write", "Write.", &[]),
    ("admin", "Administer.", &[]),
    ("openid", "Sign in (OpenID Connect).", &[]),
    ("profile", "Read name and username.", &[]),
    ("email", "Read the e-mail address.", &[]),
];

pub(super) async fn declare_scopes(app: &App, context: &AuditContext) -> Result<(), StartError> {
    let declare = |scope| PutScope {
        scope: declaration(scope),
        context: context.clone(),
    };
    try_join_all(SCOPES.iter().map(|scope| app.store().write(declare(scope)))).await?;
    Ok(())
}

pub(super) async fn register(app: &App, context: &AuditContext) -> Result<(), StartError> {
    let clients = try_join_all(CLIENTS.iter().map(|demo| record(app, demo, context))).await?;
    let register = |client| RegisterClient {
        client,
        context: context.clone(),
    };
    try_join_all(
        clients
            .into_iter()
            .map(|client| app.store().write(register(client))),
    )
    .await?;
    Ok(())
}

fn declaration((name, description, implies): &(&str, &str, &[&str])) -> ScopeDeclaration {
    ScopeDeclaration {
        name: (*name).to_owned(),
        description: (*description).to_owned(),
        implies: implies.iter().map(|&implied| implied.to_owned()).collect(),
    }
}

async fn record(
    app: &App,
    demo: &DemoClient,
    context: &AuditContext,
) -> Result<Client, StartError> {
    let (auth_method, grant_types) = match demo.secret {
        Some(_) => (
            AuthMethod::ClientSecretBasicOrPost,
            match demo.role {
                // The machine-to-machine service renews what it hands out.
                Some(_) => vec![GrantType::ClientCredentials, GrantType::RefreshToken],
                None => vec![GrantType::ClientCredentials],
            },
        ),
        None => (
            AuthMethod::None,
            vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        ),
    };
    let mut secrets = Vec::new();
    if let Some(secret) = demo.secret {
        let hash = SecretHash::Argon2id(hash(app, secret).await?);
        secrets.push(ClientSecret {
            id: "demo".to_owned(),
            hash,
            created_at: context.at.as_millis(),
            expires_at: None,
        });
    }
    Ok(Client {
        client_id: ClientId::parse(demo.id).map_err(unusable)?,
        name: demo.name.to_owned(),
        auth_method,
        secrets,
        grant_types,
        scope: Scope::parse(demo.scope).map_err(unusable)?,
        resources: vec![AUDIENCE.to_owned()],
        redirect_uris: demo
            .redirect_uris
            .iter()
            .map(|&uri| uri.to_owned())
            .collect(),
        role: demo.role.map(str::to_owned),
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: context.at,
        updated_at: context.at,
    })
}
