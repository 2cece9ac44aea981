//! The one gate every token goes through, whichever grant or sign-in asked for it.

use std::time::Duration;

use tokensmith_jose::Algorithm;
use tokensmith_oauth2::{ErrorCode, ResourceIndicator, Scope, Secret, TokenResponse};
use tokensmith_store::AuditEvent;

use super::{AccessToken, AccessTokenClaims, narrow};
use crate::{
    app::App,
    context::RequestContext,
    error::OAuthError,
    registry::{DeclaredResource, RegisteredClient},
};

/// What a grant supplies: who the token is about, and the most it may hold.
#[derive(Debug)]
pub struct Grant {
    /// The grant's word in the audit log.
    pub kind: &'static str,
    /// Who the token is about.
    pub subject: Subject,
    /// The most the token may hold.
    pub allowed_scope: Scope,
    /// What the token holds when the request names no scope; `None`: the request must name one.
    pub default_scope: Option<Scope>,
    /// What the request asks for.
    pub requested_scope: Option<Scope>,
    /// The resource the request names.
    pub requested_resource: Option<ResourceIndicator>,
    /// The token family or session it belongs to.
    pub grant_id: Option<String>,
}

impl Grant {
    /// A grant from which nothing was asked yet.
    pub fn new(kind: &'static str, subject: Subject, allowed_scope: Scope) -> Self {
        Self {
            kind,
            subject,
            allowed_scope,
            default_scope: None,
            requested_scope: None,
            requested_resource: None,
            grant_id: None,
        }
    }
}

/// Who a token is about. Services and users have disjoint ids: a client id may never look like a UUID.
#[derive(Clone, Debug)]
pub enum Subject {
    /// The client itself.
    Client,
    /// A user.
    User {
        /// The user's id.
        id: String,
        /// The user's address.
        email: String,
        /// The organization the user acts in.
        org_id: Option<String>,
        /// The user's roles there.
        roles: Vec<String>,
        /// The session.
        sid: String,
    },
}

/// What was issued.
#[derive(Debug)]
pub struct Issued {
    /// The answer of the token endpoint.
    pub response: TokenResponse,
    /// The token's `jti`.
    pub jti: String,
    /// Its audience.
    pub audience: String,
}

/// Narrows, mints, records, answers. Nothing is answered before its audit line is written.
///
/// # Errors
/// `invalid_scope`, `invalid_target`, or 503 when the line cannot be written.
pub async fn issue(
    app: &App,
    client: &RegisteredClient,
    grant: Grant,
    context: &RequestContext,
) -> Result<Issued, OAuthError> {
    let declared = app.registry().declared().clone();
    let (audience, resource) = narrow::audience(app, &declared, client, grant.requested_resource.as_ref())?;
    let scope = narrow::scope(
        &declared,
        grant.requested_scope,
        grant.default_scope.as_ref(),
        &grant.allowed_scope,
        resource,
    )?;
    let minting = Minting { app, client, subject: &grant.subject, scope: &scope, audience: &audience, resource };
    let token = mint(&minting, context)?;
    let event = issued_event(&minting, &token, grant.kind, grant.grant_id.as_deref());
    app.audit(context.audit(Some(actor(client, &grant.subject))), event).await?;
    let response = TokenResponse::bearer(token.token, token.expires_in, scope);
    Ok(Issued { response, jti: token.jti, audience })
}

/// Everything a token is made of.
struct Minting<'a> {
    app: &'a App,
    client: &'a RegisteredClient,
    subject: &'a Subject,
    scope: &'a Scope,
    audience: &'a str,
    resource: Option<&'a DeclaredResource>,
}

fn mint(of: &Minting<'_>, context: &RequestContext) -> Result<AccessToken, OAuthError> {
    let lifetime = lifetime(of);
    let iat = context.now.as_seconds();
    let jti = of.app.entropy().identifier();
    let mut claims = AccessTokenClaims {
        iss: of.app.config().issuer.as_str(),
        sub: of.client.client.client_id.as_str(),
        client_id: &of.client.client.client_id,
        scope: of.scope,
        r#type: "access",
        aud: [of.audience],
        iat,
        exp: iat.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
        jti: &jti,
        email: None,
        org_id: None,
        roles: &[],
        sid: None,
    };
    if let Subject::User { id, email, org_id, roles, sid } = of.subject {
        (claims.sub, claims.email, claims.sid) = (id, Some(email.as_str()), Some(sid.as_str()));
        (claims.org_id, claims.roles) = (org_id.as_deref(), roles);
    }
    let token = sign(of, &claims, context)?;
    Ok(AccessToken { token: Secret::from(token), jti, expires_in: lifetime.as_secs() })
}

fn sign(of: &Minting<'_>, claims: &AccessTokenClaims<'_>, context: &RequestContext) -> Result<String, OAuthError> {
    let algorithm = algorithm(of);
    let keys = of.app.keys().current();
    let failed = |detail: String| {
        let sentence = "The server failed. The failure was recorded.";
        OAuthError::new(ErrorCode::ServerError, "signing_failed", sentence).with_detail(detail)
    };
    let signer = keys.access_tokens(algorithm, context.now);
    let signer = signer.ok_or_else(|| OAuthError::unavailable(format!("no {algorithm} key signs at this time")))?;
    signer.sign(claims).map_err(|error| failed(error.to_string()))
}

fn algorithm(of: &Minting<'_>) -> Algorithm {
    of.resource.and_then(|resource| resource.algorithm).unwrap_or(of.app.config().tokens.signing_algorithm)
}

/// The shortest that anybody asks for.
fn lifetime(of: &Minting<'_>) -> Duration {
    let of_resource = of.resource.and_then(|resource| resource.resource.access_token_seconds);
    let declared = [of_resource, of.client.client.access_token_seconds].into_iter().flatten().min();
    let declared = declared.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    declared.unwrap_or(of.app.config().tokens.access_token_lifetime)
}

fn issued_event(of: &Minting<'_>, token: &AccessToken, kind: &'static str, grant_id: Option<&str>) -> AuditEvent {
    let mut event = AuditEvent::new("token_issued")
        .client(&of.client.client.client_id)
        .field("grant_type", kind)
        .field("jti", &token.jti)
        .field("scope", of.scope)
        .field("aud", of.audience);
    if let Subject::User { id, org_id, .. } = of.subject {
        event.user_id = Some(id.clone());
        event.org_id.clone_from(org_id);
    }
    event.grant_id = grant_id.map(str::to_owned);
    event
}

fn actor(client: &RegisteredClient, subject: &Subject) -> String {
    match subject {
        Subject::Client => format!("client:{}", client.client.client_id),
        Subject::User { id, .. } => format!("user:{id}"),
    }
}
