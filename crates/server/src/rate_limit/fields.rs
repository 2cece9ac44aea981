//! The header fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10) on every answer to a
//! request that was counted, and the limit per endpoint.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use super::{Counted, count, counter::Decision};
use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, OAuthError},
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Request extension: what the limits said of this request.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Vec<Decision>>>);

impl Shown {
    pub(super) fn add(&self, decision: Decision) {
        self.0.lock().push(decision);
    }

    fn write(&self, headers: &mut HeaderMap) {
        let (mut policy, mut limit) = (String::new(), String::new());
        for (at, decision) in self.0.lock().iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let (name, quota) = (&decision.limit, decision.quota);
            let (window, reset) = (quota.per(), decision.reset);
            let _ = write!(
                policy,
                "{comma}\"{name}\";q={};w={}",
                quota.count(),
                window.as_millis().div_ceil(1000)
            );
            let _ = write!(
                limit,
                "{comma}\"{name}\";r={};t={}",
                decision.remaining,
                reset.as_millis().div_ceil(1000)
            );
        }
        for (field, value) in [(POLICY, policy), (LIMIT, limit)] {
            if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(&value)) {
                headers.insert(field, value);
            }
        }
    }
}

/// Runs a route and says in its answer what the limits said.
pub async fn fields(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.extensions().get::<Shown>().is_some() {
        return next.run(request).await;
    }
    let shown = Shown::default();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(shown.clone());
    let path = parts.extensions.get::<MatchedPath>().cloned();
    let Ok(context) = RequestContext::from_request_parts(&mut parts, &app).await;
    let counted = match &path {
        Some(path) => count(&app, Counted::Endpoint(path.as_str()), &context).await,
        None => Ok(()),
    };
    let mut response = match counted {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(why) if is_oauth(path.as_ref()) => OAuthError::from(why).into_response(),
        Err(why) => ApiError::from(why).into_response(),
    };
    shown.write(response.headers_mut());
    response
}

fn is_oauth(path: Option<&MatchedPath>) -> bool {
    path.is_some_and(|path| path.as_str().starts_with("/oauth/"))
}
