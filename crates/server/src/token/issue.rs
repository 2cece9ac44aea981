//! The one gate every token goes through, whichever grant or sign-in asked for it.

use std::time::Duration;

use tokensmith_jose::{Algorithm, SignError};
use tokensmith_oauth2::{Confirmation, ErrorCode, Scope, Secret, TokenResponse};
use tokensmith_store::{AuditEvent, FamilyId, Standing, Timestamp};

use super::{
    AccessToken, AccessTokenClaims, Exchange, Grant, Subject,
    access_token::MayAct,
    confirmation,
    family::{self, Link},
    narrow,
    standing::{self, in_organization},
};
use crate::{
    app::App,
    context::RequestContext,
    error::OAuthError,
    registry::{Authority, DeclaredResource, RegisteredClient},
};

/// A client's own setting may make a user's token live this long at most.
const LONGEST_USER_TOKEN: Duration = Duration::from_hours(1);

/// What the answer of a token exchange says it issued (RFC 8693 §3).
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

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

/// Narrows, reads the standing of client and user anew, uses up what is used up, mints, records, answers.
/// Nothing is used up before everything else was checked, and nothing is answered before its audit line is written.
///
/// # Errors
/// `invalid_scope`, `invalid_target`, `invalid_grant`, or 503 when the line cannot be written.
pub async fn issue(
    app: &App,
    client: &RegisteredClient,
    grant: Grant,
    context: &RequestContext,
) -> Result<Issued, OAuthError> {
    let names = grant.names();
    let issued = issue_checked(app, client, grant, context).await;
    issued.map_err(|error| error.about(names))
}

async fn issue_checked(
    app: &App,
    client: &RegisteredClient,
    grant: Grant,
    context: &RequestContext,
) -> Result<Issued, OAuthError> {
    confirmation::check(client, &grant)?;
    let declared = app.registry().declared().clone();
    let granted = &grant.granted_resources;
    let requested = grant.requested_resource.as_ref();
    let (audience, resource) = narrow::audience(app, &declared, client, granted, requested)?;
    let scope = narrow::scope(
        &declared,
        grant.requested_scope,
        grant.default_scope.as_ref(),
        &grant.allowed_scope,
        resource,
    )?;
    let standing = standing::standing(app, client, &grant.subject, context.now).await?;
    sign_in_reaches(client, standing.as_ref())?;
    let minting = Minting {
        app,
        client,
        subject: &grant.subject,
        standing: standing.as_ref(),
        scope: &scope,
        audience: &audience,
        resource,
        confirmation: grant.confirmation,
        exchange: grant.exchange.as_deref(),
    };
    let link = family::redeem(&minting, grant.redemption, context).await?;
    let token = mint(&minting, &link, context).await?;
    let mut event = issued_event(&minting, &link, grant.kind);
    if let Some(source) = grant.source {
        event = event
            .field("assertion_issuer", source.issuer)
            .field("assertion_subject", source.subject);
    }
    app.audit(context.audit(Some(actor(&minting))), event)
        .await?;
    let mut response = TokenResponse::bearer(token.token, token.expires_in, scope);
    if let Some(confirmation) = grant.confirmation {
        response.token_type = confirmation.token_type().into();
    }
    response.issued_token_type = grant.exchange.is_some().then_some(ACCESS_TOKEN.into());
    response.refresh_token = link.refresh_token;
    Ok(Issued {
        response,
        jti: link.jti,
        audience,
    })
}

/// A client may want a second factor of every user (`required_acr`).
fn sign_in_reaches(
    client: &RegisteredClient,
    standing: Option<&Standing>,
) -> Result<(), OAuthError> {
    let reached = standing.map(|standing| standing.authentication.level);
    match (client.client.metadata.required_acr, reached) {
        (Some(required), Some(reached)) if reached < required => {
            let sentence = "The client needs a sign-in with a second factor.";
            let refusal = "acr_too_low";
            Err(OAuthError::new(ErrorCode::InvalidGrant, refusal, sentence))
        }
        _ => Ok(()),
    }
}

/// Everything a token is made of.
pub(super) struct Minting<'a> {
    pub(super) app: &'a App,
    pub(super) client: &'a RegisteredClient,
    pub(super) subject: &'a Subject,
    standing: Option<&'a Standing>,
    pub(super) scope: &'a Scope,
    pub(super) audience: &'a str,
    resource: Option<&'a DeclaredResource>,
    pub(super) confirmation: Option<Confirmation>,
    exchange: Option<&'a Exchange>,
}

async fn mint(
    of: &Minting<'_>,
    link: &Link,
    context: &RequestContext,
) -> Result<AccessToken, OAuthError> {
    let lifetime = lifetime(of, link, context.now);
    let now = context.now.as_seconds();
    let authority = authority(of);
    let mut claims = AccessTokenClaims {
        iss: of.app.config().issuer.as_str(),
        sub: of.client.client.client_id.as_str(),
        client_id: &of.client.client.client_id,
        scope: of.scope,
        r#type: "access",
        aud: [of.audience],
        iat: issued_at(of.standing, context.now),
        exp: now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
        jti: &link.jti,
        email: None,
        org_id: None,
        roles: None,
        permissions: None,
        scopes: None,
        role: None,
        sid: None,
        acr: None,
        amr: None,
        auth_time: None,
        grant_id: link.family.as_ref().map(FamilyId::as_str),
        cnf: of.confirmation,
        may_act: may_act(of),
        act: None,
        derived_from: None,
    };
    if let Some(exchange) = of.exchange {
        claims.grant_id = exchange.family.as_ref().map(FamilyId::as_str);
        claims.act = exchange.act.as_ref();
        claims.derived_from = Some(&exchange.derived_from);
    }
    if let Subject::Service(service) = of.subject {
        claims.sub = service.as_str();
    }
    if let (Subject::User(user), Some(standing)) = (of.subject, of.standing) {
        claims.sub = user.user_id.as_str();
        claims.email = asks_for(of, "email").then_some(&standing.email);
        claims.org_id = user.org_id.as_ref().map(|org| org.as_str());
        if asks_for(of, "roles") {
            claims.roles = Some(authority.roles.iter().map(String::as_str).collect());
        }
        if asks_for(of, "permissions") {
            let permissions = authority.permissions.iter().map(String::as_str);
            claims.permissions = Some(permissions.collect());
        }
        claims.sid = Some(user.session_id.as_str());
        claims.acr = Some(standing.authentication.level.as_str());
        claims.amr = Some(&standing.authentication.methods);
        claims.auth_time = Some(standing.authentication.at.as_seconds());
    } else if link.family.is_some() {
        claims.scopes = Some(of.scope.iter().collect());
        claims.role = of.client.client.role.as_deref();
    }
    let token = sign(of, &claims, context).await?;
    Ok(AccessToken {
        token: Secret::from(token),
        expires_in: lifetime.as_secs(),
    })
}

/// What the user may do, if the token says anything of it.
fn authority(of: &Minting<'_>) -> Authority {
    let (Some(standing), true) = (of.standing, asks_for(of, "roles")) else {
        return Authority::default();
    };
    let org = in_organization(standing);
    of.app.registry().declared().authority(&standing.roles, org)
}

/// Whether the resource is told this of a user. One that never said what it needs is told what the contract of the
/// account endpoints promises.
fn asks_for(of: &Minting<'_>, claim: &str) -> bool {
    let asked = of.resource.map(|resource| &resource.resource.user_claims);
    match asked {
        Some(Some(claims)) => claims.iter().any(|asked| asked == claim),
        _ => claim != "permissions",
    }
}

/// When the token was made, as it says. Tokens that say what a user may do and were made in the second of a change of that
/// are refused everywhere, so one that knows of the change says the next.
fn issued_at(standing: Option<&Standing>, now: Timestamp) -> i64 {
    let stale = standing.and_then(|standing| standing.stale_at);
    let first_good = stale.map_or(i64::MIN, |at| at.as_seconds().saturating_add(1));
    // Never far ahead: clocks of nodes may differ by a little.
    now.as_seconds().max(first_good).min(now.as_seconds() + 5)
}

async fn sign(
    of: &Minting<'_>,
    claims: &AccessTokenClaims<'_>,
    context: &RequestContext,
) -> Result<String, OAuthError> {
    let algorithm = algorithm(of);
    let keys = of.app.keys().current();
    let failed = |detail: String| {
        let sentence = "The server failed. The failure was recorded.";
        OAuthError::new(ErrorCode::ServerError, "signing_failed", sentence).with_detail(detail)
    };
    let signer = keys.access_tokens(algorithm, context.now);
    let signer = signer
        .ok_or_else(|| OAuthError::unavailable(format!("no {algorithm} key signs at this time")))?;
    signer.sign(claims).await.map_err(|error| match error {
        SignError::External(_) => OAuthError::unavailable(error),
        error => failed(error.to_string()),
    })
}

/// A shared secret never signs for the server's own APIs, however their audience came to be declared.
fn algorithm(of: &Minting<'_>) -> Algorithm {
    let config = of.app.config();
    let declared = of.resource.and_then(|resource| resource.algorithm);
    let is_own = of.audience == config.audience();
    declared
        .filter(|algorithm| !is_own || *algorithm != Algorithm::Hs256)
        .unwrap_or(config.tokens.signing_algorithm)
}

/// The shortest that anybody asks for, and no longer than what the token is made of. What the end of a session or a
/// family must end is bounded.
fn lifetime(of: &Minting<'_>, link: &Link, now: Timestamp) -> Duration {
    let of_resource = of
        .resource
        .and_then(|resource| resource.resource.access_token_seconds);
    let declared = [of_resource, of.client.client.access_token_seconds]
        .into_iter()
        .flatten()
        .min();
    let declared = declared
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(Duration::from_secs);
    let lifetime = declared.unwrap_or(of.app.config().tokens.access_token_lifetime);
    let lifetime = match of.subject {
        Subject::Client | Subject::Service(_) if link.family.is_none() => lifetime,
        _ => lifetime.min(longest_user_token(of.app)),
    };
    // To the second, as the claims have it: what is left of a token that is not over is never nothing.
    let now = Timestamp::from_seconds(now.as_seconds());
    let left = of.exchange.map(|exchange| exchange.expires_at.since(now));
    left.map_or(lifetime, |left| left.min(lifetime))
}

/// The only client that may act for the subject, as the client's registration has it.
fn may_act<'a>(of: &Minting<'a>) -> Option<MayAct<'a>> {
    let sub = of.client.client.metadata.may_act.as_ref();
    sub.map(|sub| MayAct { sub })
}

/// How long any access token about a user, or of a family, lives at most: so long the feed of revocations must speak
/// of what ended.
pub fn longest_user_token(app: &App) -> Duration {
    app.config()
        .tokens
        .access_token_lifetime
        .max(LONGEST_USER_TOKEN)
}

fn issued_event(of: &Minting<'_>, link: &Link, kind: &'static str) -> AuditEvent {
    let word = of.exchange.map_or("token_issued", |_| "token_exchanged");
    let mut event = AuditEvent::new(word)
        .client(&of.client.client.client_id)
        .field("grant_type", kind)
        .field("jti", &link.jti)
        .field("scope", of.scope)
        .field("aud", of.audience);
    if let Subject::User(user) = of.subject {
        event = event.user(&user.user_id);
        event.org_id = user.org_id.as_ref().map(ToString::to_string);
    }
    if let Some(confirmation) = of.confirmation {
        event = event.field("cnf", confirmation);
    }
    event.grant_id = link.family.as_ref().map(ToString::to_string);
    match of.exchange {
        Some(exchange) => exchanged(event, exchange),
        None => event,
    }
}

/// Whose token was exchanged and who acts now, so that both clients can be found by the line.
fn exchanged(event: AuditEvent, exchange: &Exchange) -> AuditEvent {
    let made_of: Vec<&str> = exchange
        .derived_from
        .iter()
        .map(|one| one.jti.as_str())
        .collect();
    let acting = exchange.act.as_ref().map_or("", |act| act.sub.as_str());
    let mut event = event
        .field("subject_client", &exchange.subject_client)
        .field("derived_from", made_of.join(" "))
        .field("act", acting);
    event.grant_id = exchange.family.as_ref().map(ToString::to_string);
    event
}

/// Who asks: the user, unless a client does on its own account.
pub(super) fn actor(of: &Minting<'_>) -> String {
    match of.subject {
        Subject::User(user) if of.exchange.is_none() => format!("user:{}", user.user_id),
        _ => format!("client:{}", of.client.client.client_id),
    }
}
