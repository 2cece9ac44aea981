//! JSON with unique member names at every depth (RFC 7519 section 4, RFC 7515 section 4), parsed once into a type.
//! Refuses what two parsers could read differently: duplicate members, trailing text, invalid UTF-8.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Objects up to this many members are compared one by one, larger ones through a hash set.
const FEW: usize = 16;

/// Parses `bytes` after proving that no object in it names a member twice.
///
/// # Errors
/// Any syntax error, a duplicate member, or a value of another shape than `T`.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, serde_json::Error> {
    check(bytes)?;
    serde_json::from_slice(bytes)
}

/// Proves that `bytes` is one JSON value in which no object names a member twice.
///
/// # Errors
/// Any syntax error or a duplicate member.
pub fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Unique.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Walks one value and keeps nothing of it.
pub(crate) struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with unique member names")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Unique)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Names::default();
        while let Some(name) = map.next_key_seed(Name)? {
            seen.insert(name)?;
            map.next_value_seed(Unique)?;
        }
        Ok(())
    }
}

/// The member names of one object so far.
#[derive(Default)]
pub(crate) struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    pub(crate) fn insert<E: de::Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Err(E::custom("duplicate member"));
        }
        if self.few.len() < FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}

/// A member name, borrowed from the text unless it holds an escape.
pub(crate) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_members_are_refused_at_every_depth_and_under_every_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"a":[{"b":1,"c":2,"b":3}]}]"#,
            r#"{"sub":"C2","\u0073ub":"C1"}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
        assert!(check(br#"{"a":{"a":1},"b":[{"a":1},{"a":1}],"A":2}"#).is_ok());
    }

    #[test]
    fn a_duplicate_beyond_the_first_names_is_found_too() {
        let names: Vec<String> = (0..60).map(|n| format!("\"m{n}\":0")).collect();
        let unique = format!("{{{}}}", names.join(","));
        assert!(check(unique.as_bytes()).is_ok());
        for repeated in ["m0", "m15", "m16", "m40"] {
            let text = format!("{{{},\"{repeated}\":1}}", names.join(","));
            assert!(check(text.as_bytes()).is_err(), "{repeated}");
        }
    }

    #[test]
    fn anything_but_one_json_value_in_utf8_is_refused() {
        let deep = "[".repeat(5_000);
        for text in [
            &b""[..],
            b"{}x",
            b"{} {}",
            b"{\"a\":\"\xff\"}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"NaN",
            deep.as_bytes(),
        ] {
            assert!(check(text).is_err());
        }
    }
}
