//! Tokens that a client shows to ask about them or to end them (RFC 7662, RFC 7009), whoever they are for.
//!
//! An access token is read when this server signed it and its times hold; a refresh token when it was written here.
//! Whether its user, session and client may still act is for the caller of these functions to ask.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use tokensmith_jose::{Algorithm, Expect};
use tokensmith_oauth2::{Actor, ClientId, Confirmation, Lineage, Scope, Secret};
use tokensmith_store::{RefreshFamily, StoreError, Timestamp, TokenNames};
use uuid::Uuid;

use super::{PresentedToken, imported};
use crate::{
    app::App,
    caller::{self, Caller, ServiceCaller, UserCaller},
    error::OAuthError,
    keys::ACCESS_TOKEN_TYPE,
};

/// How far a token's `nbf` or `iat` may lie ahead of our clock, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// The claims of an access token of ours. A claim of another type fails to read, `null` included.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownClaims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) aud: Audience,
    pub(crate) client_id: ClientId,
    pub(crate) scope: Scope,
    r#type: String,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    #[serde(default, deserialize_with = "present")]
    pub(crate) nbf: Option<i64>,
    pub(crate) jti: String,
    #[serde(default, deserialize_with = "present")]
    pub(crate) email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) org_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) roles: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) sid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) acr: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) amr: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) auth_time: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) grant_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) act: Option<Actor>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) may_act: Option<MayAct>,
    #[serde(default)]
    pub(crate) derived_from: Lineage,
    #[serde(default, deserialize_with = "present")]
    pub(crate) cnf: Option<Confirmation>,
}

/// The only party that may act for the subject (RFC 8693 §4.4).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct MayAct {
    pub(crate) sub: String,
    #[serde(default, deserialize_with = "present")]
    pub(crate) iss: Option<String>,
}

/// `aud`: one string or a list of them (RFC 7519 §4.1.3).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Each of them.
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The claims of an access token that this server signed and whose times hold.
pub(crate) fn access_token(app: &App, text: &str, now: Timestamp) -> Option<Arc<ShownClaims>> {
    signed(app, text)
        .or_else(|| under_shared_secret(app, text).map(Arc::new))
        .filter(|claims| claims.hold(now))
}

/// The claims of a token under the secret that is shared with older services. Whoever knows the secret can write one,
/// so it says something of the resources that are declared to take such tokens, and is never exchanged.
fn under_shared_secret(app: &App, text: &str) -> Option<ShownClaims> {
    let keys = app.keys().current();
    let expect = Expect::typ(&[ACCESS_TOKEN_TYPE]);
    let verified = keys.shared()?.verify(text, expect).ok()?;
    let claims: ShownClaims = verified.claims().ok()?;
    let declared = app.registry().declared();
    let takes_such = |audience: &String| {
        let resource = declared.resource(audience);
        resource.is_some_and(|resource| resource.algorithm == Some(Algorithm::Hs256))
    };
    let audiences = claims.aud.all();
    let is_for_such = !audiences.is_empty() && audiences.iter().all(takes_such);
    (claims.is_ours(app) && is_for_such).then_some(claims)
}

/// The claims of an access token that this server signed, whether or not it is over.
pub(super) fn signed(app: &App, text: &str) -> Option<Arc<ShownClaims>> {
    let keys = app.keys().current();
    let verify = || {
        let expect = Expect::typ(&[ACCESS_TOKEN_TYPE]);
        let verified = keys.verifying.verify(text, expect).ok()?;
        let claims: ShownClaims = verified.claims().ok()?;
        claims.is_ours(app).then_some(claims)
    };
    app.verified_tokens().claims(text, &keys, verify)
}

/// Whether all that a good token rests on is still there: its user and session, its clients, its family, and the tokens
/// it was made of.
///
/// # Errors
/// 503 when the store does not answer.
pub(crate) async fn may_act(
    app: &App,
    claims: &ShownClaims,
    now: Timestamp,
) -> Result<bool, OAuthError> {
    let Some(shown_by) = claims.caller() else {
        return Ok(false);
    };
    let client = app
        .registry()
        .client(app.store(), &claims.client_id)
        .await?;
    if client.is_none_or(|client| !client.client.is_active) {
        return Ok(false);
    }
    match caller::check_standing(app, &shown_by, now).await {
        Ok(()) => Ok(true),
        Err(error) if error.status().is_server_error() => {
            Err(OAuthError::unavailable(error.refusal()))
        }
        Err(_) => Ok(false),
    }
}

/// The family of a refresh token that was written here or brought over, and the generation it names.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn refresh_family(
    app: &App,
    token: &Secret,
) -> Result<Option<(RefreshFamily, i64)>, StoreError> {
    let Some(PresentedToken { family, generation }) = imported::presented(app, token).await? else {
        return Ok(None);
    };
    let family = app.store().refresh_family(&family).await?;
    let ours = family.filter(|family| family.root_key == app.refresh_root().id());
    Ok(ours.map(|family| (family, generation)))
}

impl ShownClaims {
    fn is_ours(&self, app: &App) -> bool {
        self.iss == app.config().issuer.as_str() && self.r#type == "access"
    }

    pub(super) fn hold(&self, now: Timestamp) -> bool {
        let now = now.as_seconds();
        let latest_start = now.saturating_add(LEEWAY_SECONDS);
        self.exp > now && self.iat <= latest_start && self.nbf.is_none_or(|nbf| nbf <= latest_start)
    }

    /// Whom and what the token speaks of, for audit lines about it.
    pub(crate) fn names(&self) -> TokenNames {
        let is_user = Uuid::try_parse(&self.sub).is_ok();
        TokenNames {
            user_id: is_user.then(|| self.sub.clone()),
            client_id: Some(self.client_id.to_string()),
            grant_id: self.grant_id.clone().or_else(|| self.sid.clone()),
        }
    }

    /// Who would be calling with this token; `None` when it names neither a user nor its client.
    pub(crate) fn caller(&self) -> Option<Caller> {
        let issued_at = Timestamp::from_seconds(self.iat);
        let expires_at = Timestamp::from_seconds(self.exp);
        if Uuid::try_parse(&self.sub).is_ok() {
            return Some(Caller::User(UserCaller {
                user_id: self.sub.parse().ok()?,
                session_id: self.sid.as_deref().map(str::parse).transpose().ok()?,
                client_id: self.client_id.clone(),
                org_id: self.org_id.clone(),
                scope: self.scope.clone(),
                grant_id: self.grant_id.clone(),
                jti: self.jti.clone(),
                issued_at,
                expires_at,
                derived_from: self.derived_from.clone(),
            }));
        }
        let is_own = self.sub == self.client_id.as_str();
        (is_own || self.act.is_some()).then_some(())?;
        Some(Caller::Service(ServiceCaller {
            client_id: ClientId::parse(&self.sub).ok()?,
            issued_to: self.client_id.clone(),
            scope: self.scope.clone(),
            grant_id: self.grant_id.clone(),
            jti: self.jti.clone(),
            issued_at,
            expires_at,
            derived_from: self.derived_from.clone(),
        }))
    }
}
