//! A tower layer that authenticates every request before the service sees it.
//! Refuses a token in a form body too (RFC 6750 section 2.2), which an extractor cannot see.

use std::mem;
use std::task::{Context, Poll};

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use http::Request;
use http::header::CONTENT_TYPE;
use tower::{Layer, Service};

use crate::bearer::{NOT_IN_FORM, names_token};
use crate::caller::find;
use crate::refusal::Cause;
use crate::{Refusal, ResourceServer};

/// The largest form that is looked through; a larger one is answered 413.
const MAX_FORM: usize = 1024 * 1024;

/// Wraps services in [`Authenticate`]; made by [`ResourceServer::layer`].
#[derive(Clone, Debug)]
pub struct AuthenticateLayer {
    server: ResourceServer,
    is_optional: bool,
}

impl AuthenticateLayer {
    pub(crate) fn new(server: ResourceServer) -> Self {
        Self {
            server,
            is_optional: false,
        }
    }

    /// Lets requests without any token pass, without a caller; a bad token is still refused.
    pub fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind authentication; the [`Caller`](crate::Caller) stands in the request's extensions.
#[derive(Clone, Debug)]
pub struct Authenticate<S> {
    inner: S,
    layer: AuthenticateLayer,
}

impl<S> Service<Request<Body>> for Authenticate<S>
where
    S: Service<Request<Body>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that was polled ready is the one to call.
        let ready = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, ready);
        let layer = self.layer.clone();
        Box::pin(async move {
            match layer.admit(request).await {
                Ok(request) => inner.call(request).await,
                Err(refusal) => Ok(refusal.into_response()),
            }
        })
    }
}

impl AuthenticateLayer {
    async fn admit(&self, request: Request<Body>) -> Result<Request<Body>, Refusal> {
        let (mut parts, body) = request.into_parts();
        let caller = find(&self.server, &mut parts).await?;
        if caller.is_none() && !self.is_optional {
            return Err(self.server.refusal(Cause::NoToken));
        }
        self.without_token_in_form(Request::from_parts(parts, body))
            .await
    }

    async fn without_token_in_form(
        &self,
        request: Request<Body>,
    ) -> Result<Request<Body>, Refusal> {
        if !is_form(&request) {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        let form = to_bytes(body, MAX_FORM)
            .await
            .map_err(|_| self.server.refusal(Cause::TooLarge))?;
        if names_token(&form) {
            return Err(self.server.refusal(Cause::Misplaced(NOT_IN_FORM)));
        }
        Ok(Request::from_parts(parts, Body::from(form)))
    }
}

fn is_form(request: &Request<Body>) -> bool {
    const FORM: &str = "application/x-www-form-urlencoded";
    let value = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(FORM)
}
