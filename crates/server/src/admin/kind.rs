//! The kind and the key in a path. What is no kind is nothing (404).

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use tokensmith_store::DeclarationKind;

use crate::error::ApiError;

/// The kind in the path.
pub(super) struct Kind(pub(super) DeclarationKind);

/// The kind and the key in the path.
pub(super) struct KindAndKey(pub(super) DeclarationKind, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Kind {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        KindAndKey::from_request_parts(parts, state)
            .await
            .map(|KindAndKey(kind, _)| Self(kind))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KindAndKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|error| nothing().with_detail(error))?;
        let mut params = params.iter().map(|(_, text)| text);
        let word = params.next().unwrap_or_default();
        let mut kinds = DeclarationKind::ALL.into_iter();
        let kind = kinds
            .find(|kind| kind.plural() == word)
            .ok_or_else(nothing)?;
        Ok(Self(kind, params.next().unwrap_or_default().to_owned()))
    }
}

pub(super) fn nothing() -> ApiError {
    ApiError::not_found("There is nothing with this name.")
}
