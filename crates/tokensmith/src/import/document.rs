//! One document of the older service, in MongoDB's Extended JSON. A member is taken under one of its known names; what
//! is left at the end is not known, and the document is refused rather than half understood.

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokensmith_store::{StoreError, Timestamp};

/// Why a document was not brought over.
pub(super) enum Refusal {
    /// Something is wrong with it.
    Document(String),
    /// Something is wrong with the store.
    Stop(anyhow::Error),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Document(reason)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Stop(error)
    }
}

/// A document whose members have not all been read.
#[derive(Clone)]
pub(super) struct Document {
    id: String,
    members: Map<String, Value>,
}

impl Document {
    pub(super) fn new(mut members: Map<String, Value>) -> Self {
        let id = members.remove("_id").map(plain).unwrap_or_default();
        let id = match id {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Self { id, members }
    }

    /// Its `_id`, as text.
    pub(super) fn id(&self) -> String {
        self.id.clone()
    }

    /// All of it, for a digest: members are in order of their names.
    pub(super) fn text_of_all(&self) -> String {
        format!("{}{}", self.id, Value::Object(self.members.clone()))
    }

    /// Takes the member that has one of these names. `null` is absence, as Python's `None`.
    pub(super) fn take(&mut self, names: &[&str]) -> Option<(String, Value)> {
        let name = names
            .iter()
            .find(|name| self.members.contains_key(**name))?;
        let value = plain(self.members.remove(*name)?);
        (!value.is_null()).then(|| ((*name).to_owned(), value))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    pub(super) fn drop_all(&mut self, names: &[&str]) {
        names.iter().for_each(|name| {
            self.members.remove(*name);
        });
    }

    pub(super) fn text(&mut self, names: &[&str]) -> Result<Option<String>, String> {
        match self.take(names) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((name, _)) => Err(format!("`{name}` is not a text")),
        }
    }

    pub(super) fn flag(&mut self, names: &[&str]) -> Result<Option<bool>, String> {
        match self.take(names) {
            None => Ok(None),
            Some((_, Value::Bool(flag))) => Ok(Some(flag)),
            Some((name, _)) => Err(format!("`{name}` is neither true nor false")),
        }
    }

    /// A list of words, or one text with spaces or commas between them.
    pub(super) fn words(&mut self, names: &[&str]) -> Result<Option<Vec<String>>, String> {
        let Some((name, value)) = self.take(names) else {
            return Ok(None);
        };
        let split = |text: &str| {
            let words = text.split([' ', ',']).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        match value {
            Value::String(text) => Ok(Some(split(&text))),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(word) => Ok(word),
                    _ => Err(format!("`{name}` holds something that is not a text")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            _ => Err(format!("`{name}` is not a list of texts")),
        }
    }

    /// A date, an RFC 3339 text (without an offset: UTC, as Python's `utcnow().isoformat()`), or seconds since 1970.
    pub(super) fn time(&mut self, names: &[&str]) -> Result<Option<Timestamp>, String> {
        let Some((name, value)) = self.take(names) else {
            return Ok(None);
        };
        instant(&value)
            .map(Some)
            .ok_or_else(|| format!("`{name}` is not a time"))
    }

    /// Refuses what is left.
    pub(super) fn done(self, ignored: &[String]) -> Result<(), String> {
        let unknown = self.members.keys().find(|name| !ignored.contains(name));
        match unknown {
            None => Ok(()),
            Some(name) => Err(format!(
                "`{name}` is not known; --ignore it if it means nothing"
            )),
        }
    }
}

/// A value without MongoDB's wrappers; a date stays wrapped, because only [`instant`] may read one.
fn plain(value: Value) -> Value {
    let Value::Object(object) = &value else {
        return value;
    };
    let wrapped = |name: &str| object.get(name).filter(|_| object.len() == 1);
    let number = ["$numberLong", "$numberInt", "$numberDouble"]
        .iter()
        .find_map(|name| wrapped(name));
    match (wrapped("$oid"), number) {
        (Some(id), _) => id.clone(),
        (None, Some(Value::String(text))) => {
            serde_json::from_str(text).unwrap_or_else(|_| text.clone().into())
        }
        _ => value,
    }
}

fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Object(object) => match plain(object.get("$date")?.clone()) {
            Value::Number(millis) => millis.as_i64().map(Timestamp::from_millis),
            text => instant(&text),
        },
        Value::Number(seconds) => {
            // No service wrote tokens in the year 5138: larger numbers are milliseconds.
            let seconds = seconds.as_f64().filter(|number| number.is_finite())?;
            let millis = if seconds.abs() > 1e11 {
                seconds
            } else {
                seconds * 1000.0
            };
            Some(Timestamp::from_millis(millis as i64))
        }
        Value::String(text) => {
            let text = text.replacen(' ', "T", 1);
            let has_offset = text.ends_with('Z')
                || text
                    .split_once('T')
                    .is_some_and(|(_, time)| time.contains(['+', '-']));
            let text = if has_offset { text } else { format!("{text}Z") };
            let instant = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
            let millis = instant.unix_timestamp_nanos() / 1_000_000;
            i64::try_from(millis).ok().map(Timestamp::from_millis)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(value: Value) -> Document {
        let Value::Object(members) = value else {
            panic!("an object")
        };
        Document::new(members)
    }

    #[test]
    fn a_time_is_read_in_every_form_the_older_service_may_have_written() {
        let expected = Some(Timestamp::from_millis(1_767_225_600_000));
        for time in [
            json!({"$date": "2026-01-01T00:00:00Z"}),
            json!({"$date": {"$numberLong": "1767225600000"}}),
            json!({"$date": 1_767_225_600_000i64}),
            json!("2026-01-01T00:00:00"),
            json!("2026-01-01 00:00:00.000000"),
            json!("2026-01-01T01:00:00+01:00"),
            json!(1_767_225_600),
            json!(1_767_225_600.0),
            json!({"$numberLong": "1767225600"}),
        ] {
            let mut document = document(json!({"at": time.clone()}));
            assert_eq!(document.time(&["at"]), Ok(expected), "{time}");
        }
        for bad in [
            json!("soon"),
            json!(true),
            json!({"$date": null}),
            json!([]),
        ] {
            assert!(document(json!({"at": bad})).time(&["at"]).is_err());
        }
    }

    #[test]
    fn what_is_not_known_refuses_the_document_unless_it_is_ignored() {
        let mut document = document(json!({"_id": {"$oid": "66f0"}, "a": "x", "b": 1, "c": null}));
        assert_eq!(document.id(), "66f0");
        assert_eq!(document.text(&["z", "a"]), Ok(Some("x".to_owned())));
        assert!(document.text(&["b"]).is_err());
        assert_eq!(document.text(&["c"]), Ok(None));
        document.members.insert("d".to_owned(), json!(1));
        assert!(
            document
                .clone()
                .done(&[])
                .is_err_and(|why| why.contains("`d`"))
        );
        assert_eq!(document.done(&["d".to_owned()]), Ok(()));
    }

    #[test]
    fn a_scope_is_a_list_or_one_text() {
        for scopes in [
            json!(["read", "write"]),
            json!("read write"),
            json!("read,write"),
        ] {
            let words = document(json!({"scopes": scopes})).words(&["scopes"]);
            assert_eq!(words, Ok(Some(vec!["read".to_owned(), "write".to_owned()])));
        }
    }
}
