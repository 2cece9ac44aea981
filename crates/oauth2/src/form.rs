//! `application/x-www-form-urlencoded` bodies, read strictly (RFC 6749 §3.2 and appendix B).
//! It refuses broken percent escapes, text that is not UTF-8, control characters, more than 64 parameters
//! and, where a parameter is asked for, a second one of the same name.

use std::fmt;

use memchr::{memchr, memchr_iter};
use zeroize::Zeroizing;

use crate::plain::is_printable_without;

const MAX_PARAMETERS: usize = 64;
/// Room for these at once.
const USUAL_PARAMETERS: usize = 8;

/// Why a body is not an acceptable form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A `%` without two hexadecimal digits.
    #[error("a parameter contains a broken percent escape")]
    Escape,
    /// Decoded bytes that are not UTF-8.
    #[error("a parameter is not valid UTF-8")]
    Utf8,
    /// NUL or another control character.
    #[error("a parameter contains a control character")]
    ControlCharacter,
    /// More than 64 parameters.
    #[error("there are too many parameters")]
    TooMany,
    /// The named parameter was sent more than once.
    #[error("the parameter {0} was sent more than once")]
    Repeated(String),
}

/// The parameters of a form. Values are cleared when dropped; `Debug` shows names only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// Reads a body (or a query string).
    ///
    /// # Errors
    /// [`FormError`], except `Repeated`, which only [`Form::one`] reports.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let separators = memchr_iter(b'&', body).chain([body.len()]);
        let mut pairs = Vec::with_capacity(USUAL_PARAMETERS);
        let mut begin = 0;
        for end in separators {
            let pair = &body[begin..end];
            begin = end + 1;
            if pair.is_empty() {
                continue;
            }
            if pairs.len() == MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            pairs.push(parse_pair(pair)?);
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that may appear once. An empty value counts as omitted (RFC 6749 §3.1).
    ///
    /// # Errors
    /// [`FormError::Repeated`], also when one of the two is empty.
    pub fn one<'a>(&'a self, name: &str) -> Result<Option<&'a str>, FormError> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(FormError::Repeated(name.to_owned())),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// All values of a parameter that may appear often (RFC 8707 `resource`), without empty ones.
    pub fn many<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name).filter(|value| !value.is_empty())
    }

    /// True when the parameter was sent, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(held, _)| held == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

fn parse_pair(pair: &[u8]) -> Result<(String, Zeroizing<String>), FormError> {
    let equals = memchr(b'=', pair).unwrap_or(pair.len());
    let value = pair.get(equals + 1..).unwrap_or_default();
    Ok((decode(&pair[..equals])?, Zeroizing::new(decode(value)?)))
}

/// Decodes one name or value: `+` is a space, every `%` needs its two digits.
pub(crate) fn decode(encoded: &[u8]) -> Result<String, FormError> {
    if is_printable_without::<b'+', b'%'>(encoded) {
        return String::from_utf8(encoded.to_vec()).map_err(|_| FormError::Utf8);
    }
    unescape(encoded)
}

fn unescape(encoded: &[u8]) -> Result<String, FormError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(plain) = rest.iter().position(|byte| matches!(byte, b'+' | b'%')) {
        decoded.extend_from_slice(&rest[..plain]);
        let taken = if rest[plain] == b'+' {
            decoded.push(b' ');
            1
        } else {
            decoded.push((hex_digit(rest.get(plain + 1))? << 4) | hex_digit(rest.get(plain + 2))?);
            3
        };
        rest = &rest[plain + taken..];
    }
    decoded.extend_from_slice(rest);
    let text = String::from_utf8(decoded).map_err(|_| FormError::Utf8)?;
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
    if !text.bytes().all(is_plain) && text.chars().any(char::is_control) {
        Err(FormError::ControlCharacter)
    } else {
        Ok(text)
    }
}

fn hex_digit(byte: Option<&u8>) -> Result<u8, FormError> {
    let digit = byte
        .and_then(|byte| char::from(*byte).to_digit(16))
        .ok_or(FormError::Escape)?;
    u8::try_from(digit).map_err(|_| FormError::Escape)
}

/// Encodes parameters as a body.
pub fn encode<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// Encodes one name or value.
#[must_use]
pub fn encode_one(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn values_are_decoded_once() {
        let form = form("a=x+y%20z&b=%2541&c&d=1=2");
        assert_eq!(form.one("a"), Ok(Some("x y z")));
        assert_eq!(form.one("b"), Ok(Some("%41")));
        assert_eq!(form.one("c"), Ok(None));
        assert_eq!(form.one("d"), Ok(Some("1=2")));
        assert!(form.has("c") && !form.has("e"));
    }

    #[test]
    fn row_286_a_parameter_sent_twice_is_refused() {
        assert_eq!(
            form("a=1&a=1").one("a"),
            Err(FormError::Repeated("a".into()))
        );
        assert_eq!(
            form("a=&a=1").one("a"),
            Err(FormError::Repeated("a".into()))
        );
        assert_eq!(
            form("a=1&%61=2").one("a"),
            Err(FormError::Repeated("a".into()))
        );
        assert_eq!(form("a=1&a=&a=2").many("a").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn row_285_control_characters_are_refused() {
        for body in ["a=%00", "a%00=1", "a=\0", "a=%0d%0a", "a=%C2%85", "a=%7f"] {
            assert_eq!(
                Form::parse(body.as_bytes()),
                Err(FormError::ControlCharacter),
                "{body:?}"
            );
        }
    }

    #[test]
    fn broken_escapes_and_broken_utf8_are_refused() {
        for body in ["a=%", "a=%4", "a=%zz", "a=%4g", "a=%+1", "a=%-1"] {
            assert_eq!(
                Form::parse(body.as_bytes()),
                Err(FormError::Escape),
                "{body}"
            );
        }
        assert_eq!(Form::parse(b"a=%ff"), Err(FormError::Utf8));
        assert_eq!(Form::parse(b"a=\xc0\xaf"), Err(FormError::Utf8));
        assert_eq!(Form::parse(b"a=%ed%a0%80"), Err(FormError::Utf8));
    }

    #[test]
    fn more_than_64_parameters_are_refused() {
        assert!(Form::parse("a=1&".repeat(64).as_bytes()).is_ok());
        assert_eq!(
            Form::parse("a=1&".repeat(65).as_bytes()),
            Err(FormError::TooMany)
        );
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(
            format!("{:?}", form("client_secret=hunter2")),
            r#"{"client_secret"}"#
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(body in any::<Vec<u8>>()) {
            let _ = Form::parse(&body);
        }

        #[test]
        fn encoding_and_parsing_round_trips(name in "[^\\p{Cc}]{1,20}", value in "[^\\p{Cc}]{1,40}") {
            let body = encode([(name.as_str(), value.as_str())]);
            let form = form(&body);
            prop_assert_eq!(form.one(&name), Ok(Some(value.as_str())));
            prop_assert_eq!(decode(encode_one(&value).as_bytes()), Ok(value));
        }
    }
}
