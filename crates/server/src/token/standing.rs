//! Whether a token about this user may be made at this moment, read anew for each token: the user active, the session
//! live, the membership there. No grant can forget it, because no grant does it.

use tokensmith_oauth2::{ClientId, ErrorCode};
use tokensmith_store::{Standing, Timestamp};

use super::Subject;
use crate::{
    app::App,
    error::OAuthError,
    registry::{InOrganization, RegisteredClient},
};

/// What is true of the user a token is about; `None` for a client's own token.
///
/// # Errors
/// `invalid_client` for a disabled client, `invalid_grant` for a user who may not act.
pub(super) async fn standing(
    app: &App,
    client: &RegisteredClient,
    subject: &Subject,
    now: Timestamp,
) -> Result<Option<Standing>, OAuthError> {
    if !client.client.is_active {
        let sentence = "The client is disabled.";
        return Err(OAuthError::new(
            ErrorCode::InvalidClient,
            "client_disabled",
            sentence,
        ));
    }
    let user = match subject {
        Subject::Client => return Ok(None),
        Subject::Service(service) => return service_stands(app, service).await.map(|()| None),
        Subject::User(user) => user,
    };
    let org = user.org_id.as_ref();
    let standing = app
        .store()
        .standing(&user.user_id, &user.session_id, org, now)
        .await?
        .ok_or_else(|| over("user_or_session_over"))?;
    if org.is_some() && standing.role.is_none() {
        return Err(over("membership_over"));
    }
    Ok(Some(standing))
}

/// What the standing says of the organization asked about.
pub(crate) fn in_organization(standing: &Standing) -> Option<InOrganization<'_>> {
    let role = standing.role?;
    let roles = &standing.org_roles;
    Some(InOrganization { role, roles })
}

/// The service that a token is about, when another client gets it.
async fn service_stands(app: &App, service: &ClientId) -> Result<(), OAuthError> {
    let service = app.registry().client(app.store(), service).await?;
    if service.is_none_or(|service| !service.client.is_active) {
        return Err(over("service_over"));
    }
    Ok(())
}

fn over(refusal: &'static str) -> OAuthError {
    let sentence = "What was granted is no longer valid. Sign in again.";
    OAuthError::new(ErrorCode::InvalidGrant, refusal, sentence)
}
