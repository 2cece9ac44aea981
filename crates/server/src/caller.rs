//! Who calls one of the server's own JSON APIs: a bearer access token for the default audience (RFC 6750, RFC 9068).
//!
//! Strict: exact issuer and audience, `typ` at+jwt, a claim of the wrong type refuses the token, and a token in the
//! URL is never read. For users, account and session are looked up at every call, so an ended session ends at once.

use axum::extract::FromRequestParts;
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::Deserialize;
use tokensmith_jose::Expect;
use tokensmith_oauth2::{ClientId, ErrorCode, Scope, challenge};
use tokensmith_store::{AuditEvent, Timestamp};
use uuid::Uuid;

use crate::{
    app::App,
    context::RequestContext,
    error::ApiError,
    keys::ACCESS_TOKEN_TYPE,
};

/// How far a token's `nbf` or `iat` may lie ahead of our clock, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// A caller who showed a valid access token.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A person: `sub` is a UUID.
    User(UserCaller),
    /// A service: `sub` is its client id.
    Service(ServiceCaller),
}

/// A person's token.
#[derive(Clone, Debug)]
pub struct UserCaller {
    /// The user.
    pub user_id: tokensmith_store::UserId,
    /// The session the token belongs to.
    pub session_id: Option<tokensmith_store::SessionId>,
    /// The organization the user acts in.
    pub org_id: Option<String>,
    /// What the token permits.
    pub scope: Scope,
    /// The token's name.
    pub jti: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A service's token.
#[derive(Clone, Debug)]
pub struct ServiceCaller {
    /// The client.
    pub client_id: ClientId,
    /// What the token permits.
    pub scope: Scope,
    /// The token's name.
    pub jti: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Claims as they must be. A claim of another type fails to read, and the token is refused.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    client_id: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    jti: String,
    scope: String,
    r#type: String,
    #[serde(default)]
    sid: Option<String>,
    #[serde(default)]
    org_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Ok(context) = RequestContext::from_request_parts(parts, app).await;
        let Some(token) = bearer(&parts.headers)? else {
            let sentence = "Send an access token in the Authorization header.";
            let error = ApiError::unauthorized("token_missing", sentence);
            return Err(error.with_challenge(challenge::Bearer::new()));
        };
        match identify(app, token, &context).await {
            Ok(caller) => Ok(caller),
            Err(error) => {
                let event = AuditEvent::new("token_invalid").outcome(error.refusal());
                app.audit(context.audit(None), event).await?;
                Err(error)
            }
        }
    }
}

/// The token of the one Authorization header, if there is one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        let sentence = "Send one Authorization header, not several.";
        return Err(ApiError::bad_request("two_authorizations", sentence));
    }
    let Some(value) = first else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| Some(token)).ok_or_else(|| invalid("not_a_bearer_token"))
}

async fn identify(app: &App, token: &str, context: &RequestContext) -> Result<Caller, ApiError> {
    let expect = Expect::typ(&[ACCESS_TOKEN_TYPE]);
    let verified = app.keys().current().verifying.verify(token, expect);
    let verified = verified.map_err(|error| invalid("token_not_ours").with_detail(error))?;
    let claims: Claims = verified.claims().map_err(|error| invalid("claims_malformed").with_detail(error))?;
    check_claims(app, &claims, context.now)?;
    let scope = Scope::parse(&claims.scope).map_err(|error| invalid("claims_malformed").with_detail(error))?;
    let expires_at = Timestamp::from_seconds(claims.exp);
    let caller = match Uuid::try_parse(&claims.sub) {
        Ok(_) => Caller::User(UserCaller {
            user_id: claims.sub.parse().map_err(|_| invalid("claims_malformed"))?,
            session_id: claims.sid.map(|sid| sid.parse()).transpose().map_err(|_| invalid("claims_malformed"))?,
            org_id: claims.org_id,
            scope,
            jti: claims.jti,
            expires_at,
        }),
        Err(_) if claims.sub == claims.client_id => {
            let client_id = ClientId::parse(&claims.sub).map_err(|_| invalid("claims_malformed"))?;
            Caller::Service(ServiceCaller { client_id, scope, jti: claims.jti, expires_at })
        }
        Err(_) => return Err(invalid("claims_malformed")),
    };
    check_standing(app, &caller).await?;
    Ok(caller)
}

fn check_claims(app: &App, claims: &Claims, now: Timestamp) -> Result<(), ApiError> {
    let now = now.as_seconds();
    let latest_start = now.saturating_add(LEEWAY_SECONDS);
    if claims.iss != app.config().issuer.as_str() {
        return Err(invalid("other_issuer"));
    }
    if !claims.aud.contains(app.config().audience()) {
        return Err(invalid("other_audience"));
    }
    if claims.r#type != "access" {
        return Err(invalid("not_an_access_token"));
    }
    if claims.exp <= now {
        return Err(invalid("token_expired"));
    }
    if claims.iat > latest_start || claims.nbf.is_some_and(|nbf| nbf > latest_start) {
        return Err(invalid("token_not_yet_valid"));
    }
    Ok(())
}

/// Whether the one the token speaks of may still act.
async fn check_standing(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let stands = match caller {
        Caller::User(user) => {
            let session = user.session_id.as_ref();
            app.store().may_act(&user.user_id, session, app.clock().now()).await?
        }
        Caller::Service(service) => {
            let client = app.registry().client(app.store(), &service.client_id).await?;
            client.is_some_and(|client| client.client.is_active)
        }
    };
    if stands { Ok(()) } else { Err(invalid("no_longer_valid")) }
}

/// 401 `invalid_token`: one sentence for every reason, which the log and the audit line tell apart.
fn invalid(refusal: &'static str) -> ApiError {
    let sentence = "The access token is malformed, expired, revoked, or not for this service.";
    let challenge = challenge::Bearer::new().error(ErrorCode::InvalidToken).description(sentence);
    ApiError::new(StatusCode::UNAUTHORIZED, refusal, sentence).with_challenge(challenge)
}

impl Caller {
    /// The person, for what only people have.
    ///
    /// # Errors
    /// 403 for a service.
    pub fn user(self) -> Result<UserCaller, ApiError> {
        match self {
            Self::User(user) => Ok(user),
            Self::Service(_) => {
                let sentence = "This is for people: a service's token cannot be used here.";
                Err(ApiError::forbidden("service_token", sentence))
            }
        }
    }

    /// What the token permits.
    pub fn scope(&self) -> &Scope {
        match self {
            Self::User(user) => &user.scope,
            Self::Service(service) => &service.scope,
        }
    }
}

impl ServiceCaller {
    /// Requires one of several scopes, or one that implies it.
    ///
    /// # Errors
    /// 403 `insufficient_scope` (RFC 6750 §3.1), naming the first.
    pub fn require_any_scope(&self, app: &App, any_of: &[&str]) -> Result<(), ApiError> {
        let declared = app.registry().declared();
        if any_of.iter().any(|token| declared.hierarchy.permits(&self.scope, token)) {
            return Ok(());
        }
        let needed = any_of.first().copied().unwrap_or_default();
        let mut challenge = challenge::Bearer::new().error(ErrorCode::InsufficientScope);
        if let Ok(scope) = Scope::parse(needed) {
            challenge = challenge.scope(&scope);
        }
        let sentence = format!("The token lacks the scope {needed}.");
        Err(ApiError::forbidden("insufficient_scope", sentence).with_challenge(challenge))
    }
}
