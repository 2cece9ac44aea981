//! The demo data of `tokensmith dev`: fixed, so that examples can be pasted, and public, so that `serve` refuses it.
//!
//! Made once: the demo resource is declared last and marks that the rest is there. A start that was cut short is made
//! up for by the next one; a later start changes nothing, so what people changed or removed stays so.

mod clients;
mod people;

use tokensmith_oauth2::Secret;
use tokensmith_store::{AuditContext, PutResource, Resource};

use crate::app::{App, StartError};

pub use clients::{CLIENTS, DemoClient};
pub use people::{DemoUser, GROUP, PASSWORD, USERS};

/// The resource all demo tokens are for.
pub const AUDIENCE: &str = "https://api.activity.com";

/// Makes the demo data, unless it was made before.
///
/// # Errors
/// When the store does not answer.
pub async fn seed(app: &App) -> Result<(), StartError> {
    if app.registry().declared().resource(AUDIENCE).is_some() {
        return Ok(());
    }
    let context = AuditContext::system(app.clock().now());
    futures_util::try_join!(
        clients::declare_scopes(app, &context),
        clients::register(app, &context),
        people::register(app, &context)
    )?;
    let made = PutResource {
        resource: resource(&context),
        context,
    };
    app.store().write(made).await?;
    app.registry().reload(app.store()).await
}

fn resource(context: &AuditContext) -> Resource {
    Resource {
        identifier: AUDIENCE.to_owned(),
        name: "Activity API".to_owned(),
        scopes: Vec::new(),
        signing_algorithm: None,
        access_token_seconds: None,
        user_claims: None,
        created_at: context.at,
    }
}

/// Hashed on the hashing threads: several at once take the time of one, and each has a salt of its own.
async fn hash(app: &App, secret: &str) -> Result<String, StartError> {
    app.hashing()
        .hash(Secret::from(secret), app.entropy().bytes())
        .await
        .map_err(unusable)
}

fn unusable(error: impl std::fmt::Display) -> StartError {
    StartError::Declared(format!("the demo data cannot be made: {error}"))
}
