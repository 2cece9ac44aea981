//! A declaration as the admin API answers it: its document, what the server keeps of it, and a tag over both, so that a
//! change that was made meanwhile is not lost (RFC 9110 §8.8.3, §13.1.1).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokensmith_store::{Client, ClientSecret, Declaration, Timestamp};

use crate::{
    error::{ApiError, no_store},
    registry::{Document, document},
};

/// Members that the server keeps by itself: answered, and ignored when they are sent back.
pub(super) const KEPT_BY_THE_SERVER: [&str; 3] = ["secrets", "created_at", "updated_at"];

pub(super) fn view(declared: &Declaration) -> Document {
    let mut view = document(declared);
    match declared {
        Declaration::Client(client) => view.extend(kept_of_client(client)),
        Declaration::Resource(resource) => {
            view.insert("created_at".to_owned(), json!(resource.created_at));
        }
        _ => {}
    }
    view
}

fn kept_of_client(client: &Client) -> Document {
    let secret = |secret: &ClientSecret| {
        json!({
            "id": secret.id,
            "created_at": Timestamp::from_millis(secret.created_at),
            "expires_at": secret.expires_at.map(Timestamp::from_millis),
        })
    };
    let secrets: Vec<Value> = client.secrets.iter().map(secret).collect();
    let kept = [
        ("secrets", json!(secrets)),
        ("created_at", json!(client.created_at)),
        ("updated_at", json!(client.updated_at)),
    ];
    kept.map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// The strong tag of a record as it is.
pub(super) fn tag(declared: &Declaration) -> String {
    let text = Value::Object(view(declared)).to_string();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..15]))
}

/// The record, with its tag.
pub(super) fn answer(status: StatusCode, declared: &Declaration) -> Response {
    answer_with(status, declared, view(declared))
}

/// A view with more in it, such as a secret that is shown once.
pub(super) fn answer_with(status: StatusCode, declared: &Declaration, view: Document) -> Response {
    let mut response = (status, Json(view)).into_response();
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag(declared)) {
        headers.insert(header::ETAG, tag);
    }
    no_store(headers);
    response
}

/// What `If-Match` says of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Absent,
    Holds,
}

/// Compares `If-Match` with the record.
///
/// # Errors
/// 412 when the record is another by now.
pub(super) fn condition(
    headers: &HeaderMap,
    declared: &Declaration,
) -> Result<Condition, ApiError> {
    let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        return Ok(Condition::Absent);
    }
    let own = tag(declared);
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    if tags.any(|tag| tag == "*" || tag == own) {
        return Ok(Condition::Holds);
    }
    let sentence = "The record was changed since you read it. Read it again.";
    Err(ApiError::new(
        StatusCode::PRECONDITION_FAILED,
        "changed_meanwhile",
        sentence,
    ))
}
