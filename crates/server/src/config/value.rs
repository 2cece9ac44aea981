//! How one setting is written: text or TOML in, a checked Rust value out.
//! A refusal says what to write and never repeats the value of a secret.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use figment::value::Value;
use tokensmith_jose::Algorithm;

use super::duration;

/// A value that can stand behind a key of the configuration.
pub trait Setting: Sized {
    /// What to write, continuing "must be …".
    const FORM: &'static str;
    /// Whether the value is hidden wherever the configuration is shown.
    const SECRET: bool = false;

    /// Reads the value as TOML or an environment variable gave it.
    ///
    /// # Errors
    /// A sentence fragment that continues the name of the key, such as "must be a number".
    fn read(value: &Value) -> Result<Self, String>;

    /// The value as it would be written in TOML.
    fn show(&self) -> String;

    /// The value of a key that is not set, when leaving it out is allowed.
    fn absent() -> Option<Self> {
        None
    }
}

/// The text of a scalar, however it was written.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Num(_, num) => num
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| num.to_u128().map(|n| n.to_string())),
        Value::Bool(_, flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Reads through `FromStr`, answering with the form when that fails.
pub(super) fn parsed<T: FromStr + Setting>(value: &Value) -> Result<T, String> {
    let text = text(value).ok_or_else(|| must_be(T::FORM))?;
    text.trim().parse().map_err(|_| must_be(T::FORM))
}

pub(super) fn must_be(form: &str) -> String {
    format!("must be {form}")
}

pub(super) fn quoted(value: impl Display) -> String {
    format!("\"{}\"", value.to_string().escape_debug())
}

macro_rules! through_from_str {
    ($($ty:ty: $form:literal;)+) => {$(
        impl Setting for $ty {
            const FORM: &'static str = $form;

            fn read(value: &Value) -> Result<Self, String> {
                parsed(value)
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

through_from_str! {
    bool: "true or false";
    u16: "a number from 0 to 65535";
    u32: "a whole number";
    NonZeroU32: "a whole number of at least 1";
    NonZeroUsize: "a whole number of at least 1";
}

impl Setting for SocketAddr {
    const FORM: &'static str =
        "an address with a port, such as \"127.0.0.1:8000\" or \"[::1]:8000\"";

    fn read(value: &Value) -> Result<Self, String> {
        parsed(value)
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for String {
    const FORM: &'static str = "a text that is not empty";

    fn read(value: &Value) -> Result<Self, String> {
        text(value)
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| must_be(Self::FORM))
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    const FORM: &'static str = "a path";

    fn read(value: &Value) -> Result<Self, String> {
        let path = text(value).filter(|path| !path.is_empty() && !path.contains('\0'));
        path.map(PathBuf::from).ok_or_else(|| must_be(Self::FORM))
    }

    fn show(&self) -> String {
        quoted(self.display())
    }
}

impl Setting for Duration {
    const FORM: &'static str = "a time such as \"500ms\", \"30s\", \"15m\", \"12h\" or \"30d\"";

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value).ok_or_else(|| must_be(Self::FORM))?;
        duration::parse(text.trim())
            .filter(|duration| !duration.is_zero())
            .ok_or_else(|| must_be(Self::FORM))
    }

    fn show(&self) -> String {
        quoted(duration::format(*self))
    }
}

/// A number of bytes, written with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(usize);

impl ByteSize {
    const UNITS: [(&'static str, usize); 3] =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

    /// That many bytes.
    pub const fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = Self::UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
            .unwrap_or((text, 1));
        let bytes = number.trim().parse::<usize>().ok()?.checked_mul(unit)?;
        (bytes > 0).then_some(Self(bytes))
    }
}

impl Setting for ByteSize {
    const FORM: &'static str = "a size such as \"256 KiB\" or \"19 MiB\"";

    fn read(value: &Value) -> Result<Self, String> {
        text(value)
            .and_then(|text| Self::parse(text.trim()))
            .ok_or_else(|| must_be(Self::FORM))
    }

    fn show(&self) -> String {
        let unit = Self::UNITS
            .iter()
            .find(|(_, unit)| self.0.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) => quoted(format_args!("{} {name}", self.0 / unit)),
            None => self.0.to_string(),
        }
    }
}

impl Setting for Algorithm {
    const FORM: &'static str = "one of \"ES256\", \"RS256\", \"PS256\", \"EdDSA\"";

    fn read(value: &Value) -> Result<Self, String> {
        let offered = [Self::Es256, Self::Rs256, Self::Ps256, Self::EdDsa];
        let name = text(value);
        let found = offered
            .into_iter()
            .find(|known| Some(known.as_str()) == name.as_deref());
        found.ok_or_else(|| must_be(Self::FORM))
    }

    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

impl<T: Setting> Setting for Option<T> {
    const FORM: &'static str = T::FORM;
    const SECRET: bool = T::SECRET;

    /// An empty text counts as not set, because environments often cannot unset a variable.
    fn read(value: &Value) -> Result<Self, String> {
        match text(value) {
            Some(text) if text.is_empty() => Ok(None),
            _ => T::read(value).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref()
            .map_or_else(|| "(not set)".to_owned(), T::show)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A TOML array, or one text with commas between the items.
impl<T: Setting> Setting for Vec<T> {
    const FORM: &'static str = T::FORM;
    const SECRET: bool = T::SECRET;

    fn read(value: &Value) -> Result<Self, String> {
        if let Value::Array(_, items) = value {
            return items.iter().map(T::read).collect();
        }
        let text = text(value).ok_or_else(|| must_be(Self::FORM))?;
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(|item| T::read(&Value::from(item))).collect()
    }

    fn show(&self) -> String {
        format!(
            "[{}]",
            self.iter().map(T::show).collect::<Vec<_>>().join(", ")
        )
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<T: Setting>(text: &str) -> Result<T, String> {
        T::read(&Value::from(text))
    }

    #[test]
    fn a_list_is_an_array_or_a_text_with_commas() {
        let both: Vec<SocketAddr> = read("127.0.0.1:1, [::1]:2").unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!(Vec::<u32>::read(&Value::from(vec![1, 2])), Ok(vec![1, 2]));
        assert!(read::<Vec<u32>>("1,x").is_err());
        assert_eq!(read::<Vec<u32>>(""), Ok(vec![]));
    }

    #[test]
    fn an_empty_text_is_an_optional_value_that_is_not_set() {
        assert_eq!(read::<Option<String>>(""), Ok(None));
        assert!(read::<String>(" ").is_err());
    }

    #[test]
    fn hs256_cannot_be_the_signing_algorithm() {
        assert!(
            read::<Algorithm>("HS256")
                .unwrap_err()
                .starts_with("must be one of")
        );
        assert!(read::<Algorithm>("es256").is_err());
        assert_eq!(
            read::<Algorithm>("PS256").map(|algorithm| algorithm.as_str()),
            Ok("PS256")
        );
    }

    proptest! {
        #[test]
        fn a_size_reads_back_as_it_was_shown(bytes in 1usize..=usize::MAX / 2) {
            let shown = ByteSize::new(bytes).show();
            prop_assert_eq!(read::<ByteSize>(shown.trim_matches('"')), Ok(ByteSize::new(bytes)));
        }

        #[test]
        fn no_text_makes_a_size_panic(text in "\\PC{0,24}") {
            let _ = read::<ByteSize>(&text);
        }
    }
}
