//! Adds the token to requests, with a proof if it is bound to a key, and after a 401 tries once more: with a fresh
//! token, or with the nonce that the server asked for (RFC 9449 §9).
//! It refuses to repeat a request whose body cannot be sent again, and leaves a request alone that already
//! carries an `Authorization` header.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Method, StatusCode, header};
use tower::{Layer, Service, ServiceExt};

use crate::{
    AccessToken, TokenError, TokenSource,
    dpop::{PROOF, asks_for_nonce},
};

/// The tower layer that makes an [`Authorized`] service.
pub struct AuthorizeLayer<S>(Arc<S>);

impl<S: TokenSource> AuthorizeLayer<S> {
    /// A layer that takes its tokens from `source`.
    pub fn new(source: S) -> Self {
        Self(Arc::new(source))
    }
}

impl<S> Clone for AuthorizeLayer<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C, S> Layer<C> for AuthorizeLayer<S> {
    type Service = Authorized<C, S>;

    fn layer(&self, inner: C) -> Self::Service {
        Authorized {
            inner,
            source: Arc::clone(&self.0),
        }
    }
}

/// A client whose requests carry a token: a tower service for `reqwest::Request` and for `http::Request` with
/// a body that can be cloned.
pub struct Authorized<C, S> {
    inner: C,
    source: Arc<S>,
}

impl<C, S: TokenSource> Authorized<C, S> {
    /// Wraps a client.
    pub fn new(inner: C, source: S) -> Self {
        Self {
            inner,
            source: Arc::new(source),
        }
    }
}

impl<S: TokenSource> Authorized<reqwest::Client, S> {
    /// Sends a request built with `reqwest`.
    ///
    /// # Errors
    /// [`AuthorizedError`].
    pub async fn send(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, AuthorizedError<reqwest::Error>> {
        exchange(self.inner.clone(), Arc::clone(&self.source), request).await
    }
}

impl<C: Clone, S> Clone for Authorized<C, S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            source: Arc::clone(&self.source),
        }
    }
}

impl<C, S> fmt::Debug for Authorized<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorized")
    }
}

impl<S> fmt::Debug for AuthorizeLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizeLayer")
    }
}

/// Why an authorized request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizedError<E> {
    /// There is no token.
    #[error(transparent)]
    Token(TokenError),
    /// The token is bound to a key, and the request has no absolute address that a proof could name.
    #[error("a request with a bound token needs an absolute address")]
    Address,
    /// The wrapped client failed.
    #[error(transparent)]
    Inner(E),
}

impl<C, S, Q> Service<Q> for Authorized<C, S>
where
    C: Service<Q> + Clone + Send + 'static,
    C::Future: Send,
    C::Response: Answer,
    C::Error: Send,
    S: TokenSource,
    Q: Call,
{
    type Response = C::Response;
    type Error = AuthorizedError<C::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(AuthorizedError::Inner)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        // The clone is not ready; the service that said it is must take this call.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        Box::pin(exchange(ready, Arc::clone(&self.source), request))
    }
}

async fn exchange<C, S, Q>(
    mut inner: C,
    source: Arc<S>,
    mut request: Q,
) -> Result<C::Response, AuthorizedError<C::Error>>
where
    C: Service<Q>,
    C::Response: Answer,
    S: TokenSource,
    Q: Call,
{
    if request.headers_mut().contains_key(header::AUTHORIZATION) {
        return inner.call(request).await.map_err(AuthorizedError::Inner);
    }
    let token = source.token().await.map_err(AuthorizedError::Token)?;
    let replay = request.replay();
    let url = token.key().map(|_| request.url()).unwrap_or_default();
    let authorized = authorize(request, &token).ok_or(AuthorizedError::Address)?;
    let first = inner.call(authorized).await;
    let first = first.map_err(AuthorizedError::Inner)?;
    let has_new_nonce = learn(&token, &url, &first);
    if first.status() != StatusCode::UNAUTHORIZED {
        return Ok(first);
    }
    let is_about_nonce = has_new_nonce && asks_for_nonce(first.headers());
    if !is_about_nonce {
        source.invalidate(&token);
    }
    let Some(replay) = replay else {
        return Ok(first);
    };
    let again = if is_about_nonce {
        Some(token)
    } else {
        source.token().await.ok().filter(|fresh| *fresh != token)
    };
    // Without another token the 401 is the honest answer.
    let Some(again) = again else {
        return Ok(first);
    };
    drop(first);
    let authorized = authorize(replay, &again).ok_or(AuthorizedError::Address)?;
    let ready = inner.ready().await.map_err(AuthorizedError::Inner)?;
    let second = ready.call(authorized).await;
    let second = second.map_err(AuthorizedError::Inner)?;
    learn(&again, &url, &second);
    Ok(second)
}

/// The request with the token, and a proof if the token is bound; `None` when there is nothing a proof could name.
fn authorize<Q: Call>(mut request: Q, token: &AccessToken) -> Option<Q> {
    if let Some(key) = token.key() {
        let proof = key.proof(&request.method(), &request.url(), Some(token.expose()))?;
        request.headers_mut().insert(PROOF, proof);
    }
    let value = token.header_value();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    Some(request)
}

/// Keeps the nonce of an answer; says whether it is a new one.
fn learn(token: &AccessToken, url: &str, answer: &impl Answer) -> bool {
    token
        .key()
        .is_some_and(|key| key.learn(url, answer.headers()))
}

/// A request this service understands.
pub trait Call: Send + Sized + 'static {
    /// The same request again, if its body allows.
    fn replay(&self) -> Option<Self>;
    /// Its headers.
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// Its method.
    fn method(&self) -> Method;
    /// Its address.
    fn url(&self) -> String;
}

impl Call for reqwest::Request {
    fn replay(&self) -> Option<Self> {
        self.try_clone()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        Self::headers_mut(self)
    }

    fn method(&self) -> Method {
        Self::method(self).clone()
    }

    fn url(&self) -> String {
        Self::url(self).to_string()
    }
}

impl<B: Clone + Send + 'static> Call for http::Request<B> {
    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        Self::headers_mut(self)
    }

    fn method(&self) -> Method {
        Self::method(self).clone()
    }

    fn url(&self) -> String {
        self.uri().to_string()
    }
}

/// An answer with a status.
pub trait Answer: Send {
    /// The status.
    fn status(&self) -> StatusCode;
    /// The headers.
    fn headers(&self) -> &HeaderMap;
}

impl Answer for reqwest::Response {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }

    fn headers(&self) -> &HeaderMap {
        Self::headers(self)
    }
}

impl<B: Send> Answer for http::Response<B> {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }

    fn headers(&self) -> &HeaderMap {
        Self::headers(self)
    }
}
