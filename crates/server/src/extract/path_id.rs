//! Ids in the path. What is not an id names nothing, so it is answered like an id nobody has.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::error::ApiError;

/// The one id in the path.
pub struct PathId<T>(pub T);

/// The two ids in the path.
pub struct PathIds<A, B>(pub A, pub B);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = params(parts, state).await?;
        nth(&params, 0).map(Self)
    }
}

impl<A: FromStr, B: FromStr, S: Send + Sync> FromRequestParts<S> for PathIds<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = params(parts, state).await?;
        Ok(Self(nth(&params, 0)?, nth(&params, 1)?))
    }
}

/// The text at a place in the path. One with a NUL names nothing: no record holds it and the database would not take it.
pub struct PathText<const PLACE: usize>(pub String);

impl<const PLACE: usize, S: Send + Sync> FromRequestParts<S> for PathText<PLACE> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = params(parts, state).await?;
        let text: String = nth(&params, PLACE)?;
        if text.contains('\0') {
            return Err(nothing());
        }
        Ok(Self(text))
    }
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, ApiError> {
    RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|error| nothing().with_detail(error))
}

fn nth<T: FromStr>(params: &RawPathParams, place: usize) -> Result<T, ApiError> {
    let text = params.iter().nth(place).map(|(_, text)| text);
    text.and_then(|text| text.parse().ok()).ok_or_else(nothing)
}

fn nothing() -> ApiError {
    ApiError::not_found("There is nothing with this id.")
}
