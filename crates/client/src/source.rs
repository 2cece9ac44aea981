//! Anything that yields access tokens.

use std::{future::Future, sync::Arc};

use crate::{AccessToken, TokenError};

/// A source of access tokens for one purpose.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is valid now.
    fn token(&self) -> impl Future<Output = Result<AccessToken, TokenError>> + Send;

    /// Reports that a resource server answered 401 to this token. A source that holds another token by now
    /// keeps it.
    fn invalidate(&self, token: &AccessToken);
}

impl<S: TokenSource> TokenSource for Arc<S> {
    fn token(&self) -> impl Future<Output = Result<AccessToken, TokenError>> + Send {
        S::token(self)
    }

    fn invalidate(&self, token: &AccessToken) {
        S::invalidate(self, token);
    }
}
