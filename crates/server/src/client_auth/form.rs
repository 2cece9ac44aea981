//! A form sent by a client: how every endpoint that clients call begins. It is read strictly first, and then the
//! client is authenticated.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use tokensmith_oauth2::{ErrorCode, Form, Secret};
use tokensmith_store::AuditEvent;

use super::authenticate;
use crate::{
    app::App,
    context::RequestContext,
    error::{OAuthError, broken_body_sentence},
    rate_limit::{Counted, count},
    registry::RegisteredClient,
};

/// A strict form body, the client that sent it, and the circumstances.
pub struct AuthenticatedForm {
    /// The parameters.
    pub form: Form,
    /// Who sent them.
    pub client: Arc<RegisteredClient>,
    /// The header fields of the request.
    pub headers: HeaderMap,
    /// When, from where, in which request.
    pub context: RequestContext,
}

impl FromRequest<App> for AuthenticatedForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let answer = async {
            StrictForm::read(request, app)
                .await?
                .authenticate(app)
                .await
        };
        answer.await.map_err(IntoResponse::into_response)
    }
}

/// A strict form body whose sender is not known yet.
pub struct StrictForm {
    /// The parameters.
    pub form: Form,
    /// The header fields of the request.
    pub headers: HeaderMap,
    /// When, from where, in which request.
    pub context: RequestContext,
}

impl StrictForm {
    /// Reads a request that holds a form, and no parameters elsewhere.
    ///
    /// # Errors
    /// `invalid_request`.
    pub async fn read(request: Request, app: &App) -> Result<Self, OAuthError> {
        let (mut parts, body) = request.into_parts();
        let Ok(context) = RequestContext::from_request_parts(&mut parts, app).await;
        refuse_other_forms(&parts)?;
        // Reading the body asks for no header, so they are moved out, not copied: this is every token request's path.
        let headers = std::mem::take(&mut parts.headers);
        let body = Bytes::from_request(Request::from_parts(parts, body), app).await;
        let form = Form::parse(&body.map_err(body_broken)?)?;
        Ok(Self {
            form,
            headers,
            context,
        })
    }

    /// Finds out which client sent it, and counts it.
    ///
    /// # Errors
    /// As [`authenticate`]; 429.
    pub async fn authenticate(self, app: &App) -> Result<AuthenticatedForm, OAuthError> {
        let client = authenticate(app, &self.headers, &self.form, &self.context).await;
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                self.record_shown_token(app, &error).await?;
                return Err(error);
            }
        };
        count(
            app,
            Counted::Client(&client.client.client_id),
            &self.context,
        )
        .await?;
        Ok(AuthenticatedForm {
            form: self.form,
            client,
            headers: self.headers,
            context: self.context,
        })
    }

    /// A refresh token that came with a client that could not prove itself: its family's timeline tells of it.
    async fn record_shown_token(&self, app: &App, error: &OAuthError) -> Result<(), OAuthError> {
        if error.code() != ErrorCode::InvalidClient {
            return Ok(());
        }
        let token = self.form.one("refresh_token").ok().flatten();
        let presented = token.and_then(|token| app.refresh_root().read(&Secret::from(token)));
        let Some(presented) = presented else {
            return Ok(());
        };
        let event = AuditEvent::new("refresh_token_invalid")
            .outcome(error.refusal())
            .grant(presented.family);
        Ok(app.audit(self.context.audit(None), event).await?)
    }
}

/// A body that is too large or did not arrive whole.
fn body_broken(broken: BytesRejection) -> OAuthError {
    let (status, detail) = (broken.status(), broken.body_text());
    let (refusal, sentence) = broken_body_sentence(status);
    OAuthError::invalid_request(refusal, sentence)
        .with_status(status)
        .with_detail(detail)
}

/// Parameters travel in a form body alone (RFC 6749 §3.2): never in the URL, where logs and histories keep them.
fn refuse_other_forms(parts: &Parts) -> Result<(), OAuthError> {
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        let sentence = "Send the parameters in the request body, not in the URL.";
        return Err(OAuthError::invalid_request("parameters_in_url", sentence));
    }
    let is_form = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| {
            value
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
    if is_form {
        return Ok(());
    }
    let sentence = "Send the parameters as application/x-www-form-urlencoded.";
    Err(OAuthError::invalid_request("not_a_form", sentence).with_status(StatusCode::BAD_REQUEST))
}
