//! Who calls one of the server's own JSON APIs: an access token for the default audience (RFC 9068), shown as
//! bearer token (RFC 6750) or with proof of its key (RFC 9449).
//!
//! Strict: exact issuer and audience, `typ` at+jwt, a claim of the wrong type refuses the token, and a token in the
//! URL is never read. For users, account and session are looked up at every call, so an ended session ends at once.

mod lineage;

use axum::extract::FromRequestParts;
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Deserializer};
use tokensmith_jose::Expect;
use tokensmith_oauth2::{
    Actor, Ancestor, ClientId, Confirmation, ErrorCode, Lineage, Scope, challenge,
};
use tokensmith_store::{
    MarkSuccessorUsed, SessionId, Timestamp, TokenNames, TokenSubjects, UserId,
};
use uuid::Uuid;

use crate::{
    app::App,
    authorization_audit::WhoAsked,
    context::RequestContext,
    dpop::ShownToken,
    error::ApiError,
    keys::ACCESS_TOKEN_TYPE,
    rate_limit::{Counted, count},
    registry::ACCOUNT_CLIENT,
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
    pub user_id: UserId,
    /// The session the token belongs to.
    pub session_id: Option<SessionId>,
    /// The client that acts for the user.
    pub client_id: ClientId,
    /// The organization the user acts in.
    pub org_id: Option<String>,
    /// What the token permits.
    pub scope: Scope,
    /// The refresh token family the token came with.
    pub grant_id: Option<String>,
    /// The token's name.
    pub jti: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The tokens it was made of (RFC 8693).
    pub derived_from: Lineage,
}

/// A service's token.
#[derive(Clone, Debug)]
pub struct ServiceCaller {
    /// The service.
    pub client_id: ClientId,
    /// The client that holds the token: the service itself, or one that acts for it.
    pub issued_to: ClientId,
    /// What the token permits.
    pub scope: Scope,
    /// The refresh token family the token came with.
    pub grant_id: Option<String>,
    /// The token's name.
    pub jti: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The tokens it was made of (RFC 8693).
    pub derived_from: Lineage,
}

/// Claims as they must be. A claim of another type fails to read, and the token is refused.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default, deserialize_with = "present")]
    grant_id: Option<String>,
    client_id: String,
    exp: i64,
    iat: i64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<i64>,
    jti: String,
    scope: String,
    r#type: String,
    #[serde(default, deserialize_with = "present")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    org_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    cnf: Option<Confirmation>,
    #[serde(default, deserialize_with = "present")]
    act: Option<Actor>,
    #[serde(default)]
    derived_from: Lineage,
}

/// A claim that may be absent is, when it is there, of its type: `null` is not absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
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
        let Some(shown) = ShownToken::of(parts)? else {
            let sentence = "Send an access token in the Authorization header.";
            let error = ApiError::unauthorized("token_missing", sentence);
            return Err(error
                .with_challenge(challenge::Bearer::new())
                .also_by_dpop());
        };
        match identify(app, shown, &context).await {
            Ok(caller) => {
                count(app, caller.counted(), &context).await?;
                if let Some(who) = parts.extensions.get::<WhoAsked>() {
                    who.is(caller.actor());
                }
                Ok(caller)
            }
            Err(error) => {
                app.audit(context.audit(None), error.event("token_invalid"))
                    .await?;
                Err(shown.challenged(error))
            }
        }
    }
}

/// The refusal of a token that we signed says whom it speaks of, for the audit line.
async fn identify(
    app: &App,
    shown: ShownToken<'_>,
    context: &RequestContext,
) -> Result<Caller, ApiError> {
    let expect = Expect::typ(&[ACCESS_TOKEN_TYPE]);
    let verified = app.keys().current().verifying.verify(shown.text, expect);
    let verified = verified.map_err(|error| invalid("token_not_ours").with_detail(error))?;
    let claims: Claims = verified
        .claims()
        .map_err(|error| malformed().with_detail(error))?;
    let client_id = ClientId::parse(&claims.client_id).map_err(|_| malformed())?;
    let names = claims.names();
    let accepted = async {
        check_claims(app, &claims, context.now)?;
        let confirmation = claims.cnf;
        shown
            .prove(app, &client_id, confirmation, context.now)
            .await?;
        let caller = caller(claims, client_id)?;
        check_standing(app, &caller, context.now).await?;
        Ok(caller)
    };
    accepted.await.map_err(|error: ApiError| error.about(names))
}

impl Claims {
    fn names(&self) -> TokenNames {
        let is_user = Uuid::try_parse(&self.sub).is_ok();
        TokenNames {
            user_id: is_user.then(|| self.sub.clone()),
            client_id: Some(self.client_id.clone()),
            grant_id: self.grant_id.clone().or_else(|| self.sid.clone()),
        }
    }
}

/// Whether who showed a token of ours may still act.
///
/// # Errors
/// 401 when not, 503 when the store does not answer.
pub(crate) async fn check_standing(
    app: &App,
    caller: &Caller,
    now: Timestamp,
) -> Result<(), ApiError> {
    match caller {
        Caller::User(user) => {
            lineage::check(app, &user.derived_from, user.issued_at, now).await?;
            check_user(app, user, now).await
        }
        Caller::Service(service) => {
            lineage::check(app, &service.derived_from, service.issued_at, now).await?;
            check_service(app, service, now).await
        }
    }
}

/// `sub` that is a UUID is a user; else it must be the client's own id, or that of a service for which somebody acts.
fn caller(claims: Claims, client_id: ClientId) -> Result<Caller, ApiError> {
    let scope = Scope::parse(&claims.scope).map_err(|error| malformed().with_detail(error))?;
    let issued_at = Timestamp::from_seconds(claims.iat);
    let expires_at = Timestamp::from_seconds(claims.exp);
    if Uuid::try_parse(&claims.sub).is_ok() {
        return Ok(Caller::User(UserCaller {
            user_id: claims.sub.parse().map_err(|_| malformed())?,
            session_id: claims
                .sid
                .map(|sid| sid.parse())
                .transpose()
                .map_err(|_| malformed())?,
            client_id,
            org_id: claims.org_id,
            scope,
            grant_id: claims.grant_id,
            jti: claims.jti,
            issued_at,
            expires_at,
            derived_from: claims.derived_from,
        }));
    }
    if claims.sub != claims.client_id && claims.act.is_none() {
        return Err(malformed());
    }
    Ok(Caller::Service(ServiceCaller {
        client_id: ClientId::parse(&claims.sub).map_err(|_| malformed())?,
        issued_to: client_id,
        scope,
        grant_id: claims.grant_id,
        jti: claims.jti,
        issued_at,
        expires_at,
        derived_from: claims.derived_from,
    }))
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

/// Whether user and session are still there and nothing of the token was revoked. The first use of a token that came
/// with a refreshed one is noted, because from then on the spent refresh token is of no honest use.
async fn check_user(app: &App, user: &UserCaller, now: Timestamp) -> Result<(), ApiError> {
    let client = app.registry().client(app.store(), &user.client_id).await?;
    if client.is_none_or(|client| !client.client.is_active) {
        return Err(invalid("client_not_active"));
    }
    let subjects = TokenSubjects {
        token: Some(&user.jti),
        session: user.session_id.as_ref().map(SessionId::as_str),
        user: Some(user.user_id.as_str()),
        client: Some(user.client_id.as_str()),
        grant: user.grant_id.as_deref(),
        organization: user.org_id.as_deref(),
        issued_at: user.issued_at,
    };
    let session = user.session_id.as_ref();
    let (shown, is_revoked) = tokio::try_join!(
        app.store()
            .shown_token(&user.user_id, session, &user.jti, now),
        app.store().token_is_revoked(&subjects)
    )?;
    let shown = shown.ok_or_else(|| invalid("user_not_active"))?;
    if is_revoked || (session.is_some() && !shown.session_is_live) {
        return Err(invalid("token_revoked"));
    }
    if let Some(family) = shown.first_use_of {
        let jti = user.jti.clone();
        app.store()
            .write(MarkSuccessorUsed { family, jti, now })
            .await?;
    }
    Ok(())
}

/// Whether the client is still there and active and nothing of the token was revoked.
async fn check_service(app: &App, service: &ServiceCaller, now: Timestamp) -> Result<(), ApiError> {
    let subjects = TokenSubjects {
        token: Some(&service.jti),
        client: Some(service.client_id.as_str()),
        grant: service.grant_id.as_deref(),
        issued_at: service.issued_at,
        ..TokenSubjects::default()
    };
    let (client, is_revoked) = tokio::try_join!(
        app.registry().client(app.store(), &service.client_id),
        app.store().token_is_revoked(&subjects)
    )?;
    if is_revoked || !client.is_some_and(|client| client.client.is_active) {
        return Err(invalid("token_revoked"));
    }
    if service.issued_to == service.client_id {
        return Ok(());
    }
    let holder = Ancestor {
        jti: service.jti.clone(),
        client_id: service.issued_to.to_string(),
        sub: None,
        sid: None,
        grant_id: None,
    };
    lineage::check_ancestor(app, &holder, service.issued_at, now).await
}

fn malformed() -> ApiError {
    invalid("claims_malformed")
}

/// 401 `invalid_token`: one sentence for every reason, which the log and the audit line tell apart.
fn invalid(refusal: &'static str) -> ApiError {
    let sentence = "The access token is malformed, expired, revoked, or not for this service.";
    let challenge = challenge::Bearer::new()
        .error(ErrorCode::InvalidToken)
        .description(sentence);
    ApiError::new(StatusCode::UNAUTHORIZED, refusal, sentence).with_challenge(challenge)
}

impl Caller {
    /// The person, for what only people have, through this server's own sign-in.
    ///
    /// # Errors
    /// 403 for a service, and for a person's token that another client holds.
    pub fn user(self) -> Result<UserCaller, ApiError> {
        match self {
            Self::User(user) if user.client_id.as_str() == ACCOUNT_CLIENT => Ok(user),
            Self::User(_) => {
                let sentence =
                    "This is for the user in person, not for a client that acts for them.";
                Err(ApiError::forbidden("client_token", sentence))
            }
            Self::Service(_) => {
                let sentence = "This is for people: a service's token cannot be used here.";
                Err(ApiError::forbidden("service_token", sentence))
            }
        }
    }

    /// The service, for what only services have.
    ///
    /// # Errors
    /// 403 for a person, whichever client holds the token.
    pub fn service(self) -> Result<ServiceCaller, ApiError> {
        match self {
            Self::Service(service) => Ok(service),
            Self::User(_) => {
                let sentence = "This is for services: a person's token cannot be used here.";
                Err(ApiError::forbidden("user_token", sentence))
            }
        }
    }

    /// What a request of this caller counts as.
    fn counted(&self) -> Counted<'_> {
        match self {
            Self::User(user) => Counted::Account(&user.user_id),
            Self::Service(service) => Counted::Client(&service.client_id),
        }
    }

    /// Requires one of several scopes, or one that implies it, of everybody but a user in person, and counts the
    /// request as one that needs it.
    ///
    /// # Errors
    /// 403 `insufficient_scope` (RFC 6750 §3.1), naming the first; 429.
    pub async fn require_any_scope(
        &self,
        app: &App,
        context: &RequestContext,
        any_of: &[&str],
    ) -> Result<(), ApiError> {
        let scope = match self {
            Self::User(user) if user.client_id.as_str() == ACCOUNT_CLIENT => return Ok(()),
            Self::User(user) => &user.scope,
            Self::Service(service) => &service.scope,
        };
        let declared = app.registry().declared();
        let is_permitted = |token: &&&str| declared.hierarchy.permits(scope, token);
        let Some(scope) = any_of.iter().find(is_permitted).copied() else {
            return Err(insufficient_scope(any_of));
        };
        drop(declared);
        if app.limits().count_requests() {
            let actor = self.actor();
            let actor = actor.as_str();
            count(app, Counted::Scope { scope, actor }, context).await?;
        }
        Ok(())
    }

    /// The user, if the caller is one: what operations of the store call the actor.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(&user.user_id),
            Self::Service(_) => None,
        }
    }

    /// Who acts, as audit lines say it.
    pub fn actor(&self) -> String {
        match self {
            Self::User(user) => user.actor(),
            Self::Service(service) => format!("client:{}", service.client_id),
        }
    }
}

impl UserCaller {
    /// Who acts, as audit lines say it.
    pub fn actor(&self) -> String {
        format!("user:{}", self.user_id)
    }
}

fn insufficient_scope(any_of: &[&str]) -> ApiError {
    let needed = any_of.first().copied().unwrap_or_default();
    let mut challenge = challenge::Bearer::new().error(ErrorCode::InsufficientScope);
    if let Ok(scope) = Scope::parse(needed) {
        challenge = challenge.scope(&scope);
    }
    let sentence = format!("The token lacks the scope {needed}.");
    ApiError::forbidden("insufficient_scope", sentence).with_challenge(challenge)
}
