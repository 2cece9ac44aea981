//! `POST /oauth/introspect` (RFC 7662), with signed answers (RFC 9701).
//!
//! Own audience only: a client learns of an access token that was issued to itself or names one of the resources it is
//! registered for, and of its own refresh tokens. Having no registered resource counts for none, not for the default.
//! Of every other token, and of whatever is not good now, the answer is `{"active":false}` and nothing more. Public
//! clients prove nothing and are refused.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use tokensmith_oauth2::{Actor, ClientId, Confirmation, ErrorCode, Scope, Secret};
use tokensmith_store::{
    ApiKeyOwner, AuditEvent, AuthMethod, OrganizationId, RefreshFamily, TokenNames,
};

use crate::{
    api_keys::{self, ShownKey, text::looks_like_key},
    app::App,
    caller::{Caller, UserCaller},
    client_auth::AuthenticatedForm,
    context::RequestContext,
    error::{OAuthError, no_store},
    keys::INTROSPECTION_TYPE,
    registry::{ACCOUNT_CLIENT, RegisteredClient},
    token::{Audience, ShownClaims, access_token, in_organization, may_act, refresh_family},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(introspect))]
pub(crate) struct Api;

const SIGNED: HeaderValue = HeaderValue::from_static("application/token-introspection+jwt");

/// What is said of a token (RFC 7662 §2.2). Only `active` of one that is not good.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
struct Introspection {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    scope: Option<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    client_id: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// `Bearer` or `DPoP` for an access token; absent for a refresh token, which no resource may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// `access` or `refresh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// How the user signed in, and when (RFC 9470 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// The key it is bound to (RFC 9449 §6.2, RFC 8705 §3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    cnf: Option<Confirmation>,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    act: Option<Actor>,
}

/// A signed answer (RFC 9701 §5). No `sub` and no `exp`, so that nobody takes it for an access token.
#[derive(Serialize)]
struct SignedIntrospection<'a> {
    iss: &'a str,
    aud: &'a ClientId,
    iat: i64,
    token_introspection: &'a Introspection,
}

/// One authenticated question.
#[derive(Clone, Copy)]
struct Question<'a> {
    app: &'a App,
    client: &'a RegisteredClient,
    context: &'a RequestContext,
}

/// `POST /oauth/introspect`: whether a token is good, and what it says.
///
/// # Errors
/// `invalid_client` for public clients, `invalid_request` without a token, 503 when the store does not answer.
#[utoipa::path(post, path = "/oauth/introspect", request_body(content = crate::openapi::IntrospectionForm, content_type = "application/x-www-form-urlencoded"), responses((status = 200, body = Introspection), (status = 400), (status = 401), (status = 503)), security(("client" = [])))]
pub async fn introspect(
    State(app): State<App>,
    request: AuthenticatedForm,
) -> Result<Response, OAuthError> {
    let question = Question {
        app: &app,
        client: &request.client,
        context: &request.context,
    };
    if request.client.client.auth_method == AuthMethod::None {
        question
            .audit("public_client", TokenNames::default())
            .await?;
        let sentence = "Introspection is for clients that authenticate.";
        return Err(OAuthError::new(
            ErrorCode::InvalidClient,
            "public_client",
            sentence,
        ));
    }
    // A hint may only speed a search up (RFC 7662 §2.1), and there is none: the text says what it is.
    request.form.one("token_type_hint")?;
    let missing =
        || OAuthError::invalid_request("token_missing", "The parameter token is missing.");
    let token = Secret::from(request.form.one("token")?.ok_or_else(missing)?);
    let answer = question.answer(&token).await?;
    if wants_signed(&request.headers) {
        return question.signed(&answer).await;
    }
    let mut response = Json(answer).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

impl Question<'_> {
    async fn answer(self, token: &Secret) -> Result<Introspection, OAuthError> {
        let now = self.context.now;
        if looks_like_key(token.expose()) {
            return self.api_key(token.expose()).await;
        }
        if let Some(claims) = access_token(self.app, token.expose(), now) {
            return self.access_token(&claims).await;
        }
        match refresh_family(self.app, token).await? {
            Some((family, generation)) => self.refresh_token(family, generation).await,
            None => Ok(Introspection::default()),
        }
    }

    async fn access_token(self, claims: &ShownClaims) -> Result<Introspection, OAuthError> {
        if !self.may_learn_of(claims) {
            self.audit("token_of_another_audience", claims.names())
                .await?;
            return Ok(Introspection::default());
        }
        if !may_act(self.app, claims, self.context.now).await? {
            return Ok(Introspection::default());
        }
        let mut answer = Introspection::of_access_token(claims.clone());
        if let Some(Caller::User(user)) = claims.caller() {
            answer = self.of_user(answer, &user).await?.unwrap_or_default();
        }
        Ok(answer)
    }

    /// What is said of a user is what is true now, not what the token says. `None` when the membership is over.
    async fn of_user(
        self,
        answer: Introspection,
        user: &UserCaller,
    ) -> Result<Option<Introspection>, OAuthError> {
        let org = user.org_id.as_deref().map(str::parse::<OrganizationId>);
        let (Some(session), Ok(org)) = (&user.session_id, org.transpose()) else {
            return Ok(None);
        };
        let (store, now) = (self.app.store(), self.context.now);
        let standing = store
            .standing(&user.user_id, session, org.as_ref(), now)
            .await?;
        let stands = standing.filter(|standing| org.is_none() || standing.role.is_some());
        Ok(stands.map(|standing| {
            let declared = self.app.registry().declared();
            let authority = declared.authority(&standing.roles, in_organization(&standing));
            Introspection {
                username: Some(standing.email),
                roles: Some(authority.roles),
                permissions: Some(authority.permissions.into_iter().collect()),
                ..answer
            }
        }))
    }

    /// An API key, for the clients of its resource. It says no roles: what it permits is its scope.
    async fn api_key(self, text: &str) -> Result<Introspection, OAuthError> {
        let Some(shown) = api_keys::shown(self.app, text, self.context.now).await? else {
            return Ok(Introspection::default());
        };
        let client = &self.client.client;
        let is_own = shown.key.owner == ApiKeyOwner::Client(client.client_id.clone());
        if !is_own && !client.resources.contains(&shown.key.resource) {
            let names = TokenNames::default();
            self.audit("token_of_another_audience", names).await?;
            return Ok(Introspection::default());
        }
        Introspection::of_api_key(shown, self.app.config().issuer.as_str())
    }

    fn may_learn_of(self, claims: &ShownClaims) -> bool {
        let client = &self.client.client;
        let mut audiences = claims.aud.all().iter();
        claims.client_id == client.client_id
            || audiences.any(|audience| client.resources.contains(audience))
    }

    /// Only the newest of its family, and only for the client it belongs to.
    async fn refresh_token(
        self,
        family: RefreshFamily,
        generation: i64,
    ) -> Result<Introspection, OAuthError> {
        if family.client_id != self.client.client.client_id {
            self.audit("token_of_another_client", family.names())
                .await?;
            return Ok(Introspection::default());
        }
        let now = self.context.now;
        if generation != family.generation || !family.is_live(now) {
            return Ok(Introspection::default());
        }
        if let (Some(user), Some(session)) = (&family.user_id, &family.session_id) {
            let org = family.org_id.as_ref();
            let standing = self.app.store().standing(user, session, org, now).await?;
            if standing.is_none_or(|standing| org.is_some() && standing.role.is_none()) {
                return Ok(Introspection::default());
            }
        }
        let issuer = self.app.config().issuer.as_str();
        Ok(Introspection::of_refresh_token(family, issuer))
    }

    async fn signed(self, answer: &Introspection) -> Result<Response, OAuthError> {
        let (algorithm, now) = (self.app.config().tokens.signing_algorithm, self.context.now);
        let claims = SignedIntrospection {
            iss: self.app.config().issuer.as_str(),
            aud: &self.client.client.client_id,
            iat: now.as_seconds(),
            token_introspection: answer,
        };
        let keys = self.app.keys().current();
        let signer = keys.introspection(algorithm, now).ok_or_else(|| {
            OAuthError::unavailable(format!("no {algorithm} key signs at this time"))
        })?;
        let signed = signer.sign(&claims).await;
        let signed = signed.map_err(OAuthError::unavailable)?;
        let mut response = ([(header::CONTENT_TYPE, SIGNED)], signed).into_response();
        no_store(response.headers_mut());
        Ok(response)
    }

    async fn audit(self, refusal: &'static str, names: TokenNames) -> Result<(), OAuthError> {
        let client = &self.client.client.client_id;
        let event = AuditEvent::new("introspection_refused")
            .client(client)
            .outcome(refusal)
            .names(&names);
        let context = self.context.audit(Some(format!("client:{client}")));
        Ok(self.app.audit(context, event).await?)
    }
}

impl Introspection {
    fn of_access_token(claims: ShownClaims) -> Self {
        Self {
            active: true,
            scope: Some(claims.scope),
            client_id: Some(claims.client_id),
            username: claims.email,
            token_type: Some(claims.cnf.map_or("Bearer", Confirmation::token_type)),
            r#type: Some("access"),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            nbf: claims.nbf,
            sub: Some(claims.sub),
            aud: Some(claims.aud),
            iss: Some(claims.iss),
            jti: Some(claims.jti),
            org_id: claims.org_id,
            roles: claims.roles,
            permissions: None,
            sid: claims.sid,
            acr: claims.acr,
            amr: claims.amr,
            auth_time: claims.auth_time,
            cnf: claims.cnf,
            act: claims.act,
        }
    }

    fn of_api_key(shown: ShownKey, issuer: &str) -> Result<Self, OAuthError> {
        let key = shown.key;
        let (sub, client_id) = match key.owner {
            ApiKeyOwner::User(user) => (user.to_string(), ClientId::parse(ACCOUNT_CLIENT)),
            ApiKeyOwner::Client(client) => (client.to_string(), Ok(client)),
        };
        Ok(Self {
            active: true,
            scope: Some(shown.scope),
            client_id: Some(client_id.map_err(OAuthError::unavailable)?),
            username: shown.user.map(|user| user.email),
            token_type: Some("Bearer"),
            r#type: Some("api_key"),
            exp: Some(key.expires_at.as_seconds()),
            iat: Some(key.created_at.as_seconds()),
            sub: Some(sub),
            aud: Some(Audience::One(key.resource)),
            iss: Some(issuer.to_owned()),
            jti: Some(key.id),
            org_id: key.org_id.map(|org| org.to_string()),
            permissions: Some(shown.permissions),
            ..Self::default()
        })
    }

    fn of_refresh_token(family: RefreshFamily, issuer: &str) -> Self {
        let ends = family.expires_at.min(family.idle_expires_at);
        let user = family.user_id.as_ref().map(ToString::to_string);
        Self {
            active: true,
            scope: Some(family.scope),
            sub: Some(user.unwrap_or_else(|| family.client_id.to_string())),
            client_id: Some(family.client_id),
            r#type: Some("refresh"),
            exp: Some(ends.as_seconds()),
            iat: Some(family.rotated_at.as_seconds()),
            aud: Some(Audience::Several(family.resources)),
            iss: Some(issuer.to_owned()),
            org_id: family.org_id.map(|org| org.to_string()),
            sid: family.session_id.map(|session| session.to_string()),
            cnf: family.confirmation,
            ..Self::default()
        }
    }
}

/// Whether `Accept` names the signed form (RFC 9701 §4) and does not rule it out.
fn wants_signed(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT).iter();
    let ranges = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','));
    ranges
        .map(|range| range.split(';').map(str::trim))
        .any(|mut parts| {
            let named = parts.next().and_then(|name| name.split_once('/'));
            let named = named.is_some_and(|(kind, subtype)| {
                kind.eq_ignore_ascii_case("application")
                    && subtype.eq_ignore_ascii_case(INTROSPECTION_TYPE)
            });
            named
                && !parts
                    .any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
}
