//! `POST /oauth/revoke` (RFC 7009): a refresh token ends its family with every access token of it, an access token
//! ends alone.
//!
//! A client ends its own tokens only. Of a token that is unknown, over, or another client's the answer is 200 like of
//! any other, so it tells nobody what there is; the attempt on another client's token is audited.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tokensmith_oauth2::{ClientId, Secret};
use tokensmith_store::{
    AuditEvent, EndFamilies, FamilyId, FamilyScope, RevocationKind, Revoke, StoreError, Timestamp,
    TokenNames,
};

use crate::{
    app::App,
    client_auth::AuthenticatedForm,
    context::RequestContext,
    error::{OAuthError, no_store},
    token::{ShownClaims, access_token, longest_user_token, refresh_family},
};

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(revoke))]
pub(crate) struct Api;

/// One authenticated revocation.
#[derive(Clone, Copy)]
struct Revocation<'a> {
    app: &'a App,
    client: &'a ClientId,
    context: &'a RequestContext,
}

/// `POST /oauth/revoke`: ends a token. The answer is the same for one that is unknown.
///
/// # Errors
/// `invalid_request` without a token, 503 when the store does not answer: then the token still exists (RFC 7009 §2.2.1).
#[utoipa::path(post, path = "/oauth/revoke", request_body(content = crate::openapi::IntrospectionForm, content_type = "application/x-www-form-urlencoded"), responses((status = 200), (status = 400), (status = 401), (status = 503)), security(("client" = [])))]
pub async fn revoke(
    State(app): State<App>,
    request: AuthenticatedForm,
) -> Result<Response, OAuthError> {
    let revocation = Revocation {
        app: &app,
        client: &request.client.client.client_id,
        context: &request.context,
    };
    // A hint may only speed a search up (RFC 7009 §2.1), and there is none: the text says what it is.
    request.form.one("token_type_hint")?;
    let missing =
        || OAuthError::invalid_request("token_missing", "The parameter token is missing.");
    let token = Secret::from(request.form.one("token")?.ok_or_else(missing)?);
    revocation.of(&token).await?;
    let mut response = StatusCode::OK.into_response();
    no_store(response.headers_mut());
    Ok(response)
}

/// Ends one access token, in the name of its client. Says whether it was not ended before.
///
/// # Errors
/// When the store does not answer: then the token still works.
pub(crate) async fn end_access_token(
    app: &App,
    claims: &ShownClaims,
    context: &RequestContext,
) -> Result<bool, StoreError> {
    let revoke = Revoke {
        kind: RevocationKind::Token,
        names: claims.names(),
        subject: claims.jti.clone(),
        expires_at: Timestamp::from_seconds(claims.exp),
        context: context.audit(Some(format!("client:{}", claims.client_id))),
    };
    app.store().write(revoke).await
}

impl Revocation<'_> {
    async fn of(self, token: &Secret) -> Result<(), OAuthError> {
        if let Some(claims) = access_token(self.app, token.expose(), self.context.now) {
            if claims.client_id != *self.client {
                return self.refuse(claims.names()).await;
            }
            end_access_token(self.app, &claims, self.context).await?;
            return Ok(());
        }
        match refresh_family(self.app, token).await? {
            Some((family, _)) if family.client_id != *self.client => {
                self.refuse(family.names()).await
            }
            // A spent token ends its family, too: it is the grant that the client gives up.
            Some((family, _)) => self.end_family(family.id).await,
            None => Ok(()),
        }
    }

    async fn end_family(self, family: FamilyId) -> Result<(), OAuthError> {
        let end = EndFamilies {
            scope: FamilyScope::Family(family),
            reason: "revoked_by_client",
            revoked_until: self.context.now + longest_user_token(self.app),
            context: self.context.audit(Some(self.actor())),
        };
        self.app.store().write(end).await?;
        Ok(())
    }

    async fn refuse(self, names: TokenNames) -> Result<(), OAuthError> {
        let event = AuditEvent::new("revocation_refused")
            .client(self.client)
            .outcome("token_of_another_client")
            .names(&names);
        let context = self.context.audit(Some(self.actor()));
        Ok(self.app.audit(context, event).await?)
    }

    fn actor(self) -> String {
        format!("client:{}", self.client)
    }
}
