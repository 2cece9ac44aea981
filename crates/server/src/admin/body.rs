//! Bodies of the admin API: a whole declaration, or a merge patch of one (RFC 7396).

use serde_json::{Map, Value};
use tokensmith_store::{Declaration, DeclarationKind, Timestamp};

use super::view::KEPT_BY_THE_SERVER;
use crate::{
    error::ApiError,
    registry::{self, Document, Problem, key_member},
};

/// Reads a declaration as it should be under this key.
///
/// # Errors
/// 422, with every problem there is.
pub(super) fn declaration(
    kind: DeclarationKind,
    key: Option<&str>,
    mut object: Document,
    before: Option<&Declaration>,
    now: Timestamp,
) -> Result<Declaration, ApiError> {
    for name in KEPT_BY_THE_SERVER {
        object.remove(name);
    }
    if let Some(key) = key {
        let named = object.entry(key_member(kind)).or_insert_with(|| key.into());
        if named.as_str() != Some(key) {
            let sentence = format!(
                "{} is not the one of the path, and cannot change.",
                key_member(kind)
            );
            return Err(ApiError::unprocessable("key_changed", sentence));
        }
    }
    registry::read(kind, object, before, now).map_err(|problems| unreadable(&problems))
}

fn unreadable(problems: &[Problem]) -> ApiError {
    let sentences: Vec<&str> = problems
        .iter()
        .map(|problem| problem.sentence.as_str())
        .collect();
    ApiError::unprocessable("declaration_malformed", sentences.join(" "))
}

/// The object after a merge patch: `null` removes, an object is merged, all else replaces.
pub(super) fn merged(mut target: Document, patch: Map<String, Value>) -> Document {
    for (name, value) in patch {
        let merged = match (target.remove(&name), value) {
            (_, Value::Null) => continue,
            (Some(Value::Object(inner)), Value::Object(patch)) => {
                Value::Object(merged(inner, patch))
            }
            (_, Value::Object(patch)) => Value::Object(merged(Map::new(), patch)),
            (_, value) => value,
        };
        target.insert(name, merged);
    }
    target
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_merges_as_the_examples_of_rfc_7396_say() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let object = |value: Value| value.as_object().cloned().unwrap_or_default();
            let found = merged(object(target), object(patch));
            assert_eq!(Value::Object(found), expected);
        }
    }
}
