//! Every 403 of the JSON APIs leaves an audit line, in one place, so that no route can forget it. A line that cannot
//! be written turns the answer into 503.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tokensmith_store::AuditEvent;

use crate::{app::App, context::RequestContext, error::ApiError, observe::metrics::ErrorLabel};

/// Request extension: who asked, as soon as the caller is known.
#[derive(Clone, Debug, Default)]
pub struct WhoAsked(Arc<OnceLock<String>>);

impl WhoAsked {
    /// Says who it was. The first word counts.
    pub fn is(&self, actor: String) {
        let _ = self.0.set(actor);
    }
}

/// Runs a route and records its refusal, if it refused what the caller may not do.
pub async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let who = WhoAsked::default();
    let (mut parts, body) = request.into_parts();
    let Ok(context) = RequestContext::from_request_parts(&mut parts, &app).await;
    parts.extensions.insert(who.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    if response.status() != StatusCode::FORBIDDEN {
        return response;
    }
    let refusal = response
        .extensions()
        .get::<ErrorLabel>()
        .map_or("forbidden", |label| label.0);
    let event = AuditEvent::new("authorization_refused").outcome(refusal);
    match app.audit(context.audit(who.0.get().cloned()), event).await {
        Ok(()) => response,
        Err(error) => ApiError::from(error).into_response(),
    }
}
