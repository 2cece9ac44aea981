//! Errors of the pages: the same refusals as those of the JSON APIs, shown to a person. What is shown is written by the
//! frame of the pages, which knows the language.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use tokensmith_store::StoreError;

use super::ApiError;

/// A refusal that ends in a page of its own.
#[derive(Debug)]
pub struct PageError(ApiError);

/// Response extension: what the page must say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRefusal(pub(crate) &'static str);

impl PageError {
    /// 404.
    pub fn not_found() -> Self {
        Self(ApiError::not_found("There is nothing here."))
    }

    /// 403 for a form that did not come from a page of ours, or from one of another visitor.
    pub fn forged(why: &'static str) -> Self {
        let sentence = "The form did not come from this page.";
        Self(ApiError::forbidden("page_forged", sentence).with_detail(why))
    }

    /// A form that cannot be read.
    pub fn unreadable(status: StatusCode, why: impl ToString) -> Self {
        let sentence = "The form cannot be read.";
        Self(ApiError::new(status, "page_form_unreadable", sentence).with_detail(why))
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let refusal = PageRefusal(self.0.refusal());
        let mut response = self.0.into_response();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.extensions_mut().insert(refusal);
        response
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}
