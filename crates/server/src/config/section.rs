//! The `section!` macro: a struct whose fields are settings, each with its documentation, its
//! default and its type in one place. The reader collects every problem instead of the first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use figment::value::Value;

use super::value::{Setting, text};

/// One documented key.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The path of the key, such as `limits.body`.
    pub key: &'static str,
    /// The lines of its documentation.
    pub doc: &'static [&'static str],
    /// What stands there when nothing is said.
    pub default: Option<&'static str>,
    /// What to write, continuing "must be …".
    pub form: &'static str,
    /// Whether it may be read from a file named by `<key>_file`.
    pub secret: bool,
}

/// A struct that `section!` made.
pub trait Section: Sized {
    /// Adds its keys and those of its parts.
    fn fields(all: &mut Vec<Field>);
    /// Reads it; `None` when a problem was noted.
    fn read(reader: &mut Reader) -> Option<Self>;
    /// Adds its keys with the values they have.
    fn show(&self, all: &mut Vec<(&'static str, String)>);
}

macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident at $prefix:literal {
            $( $(#[doc = $doc:literal])+ $field:ident: $ty:ty $(= $default:literal)?, )*
        }
        $(parts { $( $(#[doc = $part_doc:literal])+ $part:ident: $part_ty:ty, )* })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )*
            $($( $(#[doc = $part_doc])+ pub $part: $part_ty, )*)?
        }

        impl $crate::config::section::Section for $name {
            fn fields(all: &mut Vec<$crate::config::section::Field>) {
                $( all.push($crate::config::section::Field {
                    key: concat!($prefix, stringify!($field)),
                    doc: &[$($doc),+],
                    default: [$($default,)? ""].first().copied().filter(|text| !text.is_empty()),
                    form: <$ty as $crate::config::value::Setting>::FORM,
                    secret: <$ty as $crate::config::value::Setting>::SECRET,
                }); )*
                $($( <$part_ty as $crate::config::section::Section>::fields(all); )*)?
            }

            fn read(reader: &mut $crate::config::section::Reader) -> Option<Self> {
                $( let $field = reader.read::<$ty>(
                    concat!($prefix, stringify!($field)),
                    [$($default,)? ""].first().copied().filter(|text| !text.is_empty()),
                ); )*
                $($( let $part = <$part_ty as $crate::config::section::Section>::read(reader); )*)?
                Some(Self { $( $field: $field?, )* $($( $part: $part?, )*)? })
            }

            fn show(&self, all: &mut Vec<(&'static str, String)>) {
                $( all.push((
                    concat!($prefix, stringify!($field)),
                    $crate::config::value::Setting::show(&self.$field),
                )); )*
                $($( $crate::config::section::Section::show(&self.$part, all); )*)?
            }
        }
    };
}
pub(super) use section;

/// An enum whose variants are words of the configuration.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $( $(#[$doc:meta])+ $variant:ident = $word:literal, )+ } form $form:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$doc])+ $variant, )+ }

        impl $crate::config::value::Setting for $name {
            const FORM: &'static str = $form;

            fn read(value: &figment::value::Value) -> Result<Self, String> {
                match $crate::config::value::text(value).as_deref() {
                    $( Some($word) => Ok(Self::$variant), )+
                    _ => Err($crate::config::value::must_be(Self::FORM)),
                }
            }

            fn show(&self) -> String {
                match self { $( Self::$variant => concat!("\"", $word, "\"").to_owned(), )+ }
            }
        }
    };
}
pub(super) use words;

/// A value and the place it was written in.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: String,
}

/// One thing that is wrong, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub(super) String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hands out values by key and notes what is wrong with them.
#[derive(Debug, Default)]
pub struct Reader {
    pub(super) given: BTreeMap<String, Given>,
    pub(super) problems: Vec<Problem>,
    /// Keys whose problem is noted already and needs no second sentence.
    pub(super) noted: BTreeSet<&'static str>,
}

impl Reader {
    pub(super) fn note(&mut self, sentence: String) {
        self.problems.push(Problem(sentence));
    }

    /// The value of a key, else its default; a problem is noted and answered with `None`.
    pub(super) fn read<T: Setting>(&mut self, key: &str, default: Option<&str>) -> Option<T> {
        if self.noted.contains(key) {
            return None;
        }
        let Some(given) = self.given.get(key) else {
            return self.unset(key, default);
        };
        match T::read(&given.value) {
            Ok(value) => Some(value),
            Err(fragment) => {
                let found = text(&given.value).filter(|_| !T::SECRET);
                let found = found.map(|text| format!(", not {}", shortened(&text)));
                let sentence = format!(
                    "`{key}` {fragment}{} ({}).",
                    found.unwrap_or_default(),
                    given.origin
                );
                self.note(sentence);
                None
            }
        }
    }

    fn unset<T: Setting>(&mut self, key: &str, default: Option<&str>) -> Option<T> {
        if let Some(default) = default {
            let read = T::read(&Value::from(default));
            debug_assert!(read.is_ok(), "the default of {key} cannot be read");
            return read.ok();
        }
        let absent = T::absent();
        if absent.is_none() {
            self.note(format!(
                "`{key}` is required: it {}.",
                super::value::must_be(T::FORM)
            ));
        }
        absent
    }
}

/// A value as it may stand in a sentence: one line, control characters escaped, not too long.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}
