//! The page of a list: `limit` elements after the one named by `after`. Lists are ordered by id, so a page neither
//! repeats nor skips what was there all the time.

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokensmith_oauth2::Form;

use crate::error::ApiError;

/// Elements of a page when the request names no number.
const USUAL: i64 = 50;
/// Most elements of a page.
const MOST: i64 = 200;

/// Which part of a list is asked for. `USUAL` and `MOST` are the sizes of the list at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<const USUAL_SIZE: i64 = USUAL, const MOST_SIZE: i64 = MOST> {
    /// At most so many elements.
    pub limit: i64,
    /// The id of the last element of the page before; empty: from the first.
    pub after: String,
}

/// The same for the document of the API.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "fields are read by the derive alone")]
pub(crate) struct PageQuery {
    /// At most so many elements.
    limit: Option<i64>,
    /// What the page before gave as `next`.
    after: Option<String>,
}

impl<const U: i64, const M: i64, S: Send + Sync> FromRequestParts<S> for Page<U, M> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl<const U: i64, const M: i64> Page<U, M> {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let unreadable = |error| {
            let sentence = format!("The query is not acceptable: {error}.");
            ApiError::unprocessable("malformed_query", sentence)
        };
        let form = Form::parse(query.as_bytes()).map_err(unreadable)?;
        let limit = match form.one("limit").map_err(unreadable)? {
            None => U,
            Some(text) => limit(text, M)?,
        };
        let after = form.one("after").map_err(unreadable)?.unwrap_or_default();
        Ok(Self {
            limit,
            after: after.to_owned(),
        })
    }
}

fn limit(text: &str, most: i64) -> Result<i64, ApiError> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| {
        let sentence = format!("limit must be a number from 1 to {most}.");
        ApiError::unprocessable("limit_out_of_range", sentence)
    })
}

/// What to send as `after` for the next page: the last id of a full page, nothing after a page that is not full.
pub fn next_after<T>(rows: &[T], limit: i64, id: impl Fn(&T) -> String) -> Option<String> {
    let is_full = i64::try_from(rows.len()).is_ok_and(|length| length >= limit);
    rows.last().filter(|_| is_full).map(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(query: &str) -> Option<(i64, String)> {
        let page = Page::<50, 200>::parse(query).ok()?;
        Some((page.limit, page.after))
    }

    #[test]
    fn a_page_has_its_usual_size_unless_the_query_names_one_in_range() {
        assert_eq!(parse(""), Some((50, String::new())));
        assert_eq!(parse("limit=200&after=x"), Some((200, "x".to_owned())));
        for bad in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=ten",
            "limit=1&limit=2",
            "limit=%00",
            "limit=1.0",
            "after=%zz",
            "limit=99999999999999999999",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_full_page_has_a_next_one() {
        assert_eq!(
            next_after(&["a", "b"], 2, |id| (*id).to_owned()),
            Some("b".to_owned())
        );
        assert_eq!(next_after(&["a"], 2, |id| (*id).to_owned()), None);
        assert_eq!(next_after::<&str>(&[], 2, |id| (*id).to_owned()), None);
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "[ -~]{0,60}") {
            let _ = parse(&query);
        }
    }
}
