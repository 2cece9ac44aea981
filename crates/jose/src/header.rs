//! The JOSE header (RFC 7515 section 4): what is read from it, and which `typ` a caller expects.
//! Refuses duplicate members, `crit`, `b64` and members of the wrong type; never reads `jwk`, `jku`, `x5c` or `x5u`.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::strict_json::{Name, Names, Unique};
use crate::{Algorithm, VerifyError};

/// The members of a verified header that anyone may act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`: always that of the key that verified the signature.
    pub alg: Algorithm,
    /// `kid`, compared exactly.
    pub kid: Option<String>,
    /// `typ` as it was written.
    pub typ: Option<String>,
}

/// The `typ` values a caller accepts (RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    types: &'a [&'a str],
    may_be_absent: bool,
}

impl<'a> Expect<'a> {
    /// One of these media types, without `application/`; compared without regard to case (RFC 7515 section 4.1.9).
    pub const fn typ(types: &'a [&'a str]) -> Self {
        Self {
            types,
            may_be_absent: false,
        }
    }

    /// Accepts a token without `typ` as well.
    pub const fn or_absent(self) -> Self {
        Self {
            may_be_absent: true,
            ..self
        }
    }

    pub(crate) fn admits(&self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else {
            return self.may_be_absent;
        };
        let subtype = without_application(typ);
        self.types
            .iter()
            .any(|expected| expected.eq_ignore_ascii_case(subtype))
    }
}

fn without_application(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Header, VerifyError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = deserializer
        .deserialize_map(HeaderVisitor)
        .map_err(|_| VerifyError::Header)?;
    deserializer.end().map_err(|_| VerifyError::Header)?;
    if parsed.demands_extension {
        return Err(VerifyError::Critical);
    }
    let alg = Algorithm::from_name(&parsed.alg).ok_or(VerifyError::Algorithm)?;
    Ok(Header {
        alg,
        kid: parsed.kid,
        typ: parsed.typ,
    })
}

#[derive(Default)]
struct Parsed {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    demands_extension: bool,
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JOSE header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let mut parsed = Parsed::default();
        let mut names = Names::default();
        let mut alg = None;
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "alg" => alg = Some(map.next_value::<String>()?),
                "kid" => parsed.kid = Some(map.next_value()?),
                "typ" => parsed.typ = Some(map.next_value()?),
                other => {
                    parsed.demands_extension |= matches!(other, "crit" | "b64");
                    map.next_value_seed(Unique)?;
                }
            }
            names.insert(name)?;
        }
        parsed.alg = alg.ok_or_else(|| de::Error::missing_field("alg"))?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_duplicates_and_wrong_types_are_refused() {
        for (text, error) in [
            (
                r#"{"alg":"ES256","crit":["exp"],"exp":1}"#,
                VerifyError::Critical,
            ),
            (r#"{"alg":"ES256","crit":[]}"#, VerifyError::Critical),
            (r#"{"alg":"ES256","b64":true}"#, VerifyError::Critical),
            (r#"{"alg":"ES256","alg":"none"}"#, VerifyError::Header),
            (r#"{"alg":"ES256","x":{"y":1,"y":2}}"#, VerifyError::Header),
            (r#"{"alg":"none"}"#, VerifyError::Algorithm),
            (r#"{"alg":"None"}"#, VerifyError::Algorithm),
            (r#"{"alg":""}"#, VerifyError::Algorithm),
            (r#"{"alg":"es256"}"#, VerifyError::Algorithm),
            (r#"{"alg":["ES256"]}"#, VerifyError::Header),
            (r#"{"alg":null}"#, VerifyError::Header),
            (r#"{"alg":"ES256","kid":1}"#, VerifyError::Header),
            (r#"{"alg":"ES256","kid":null}"#, VerifyError::Header),
            (r#"{"alg":"ES256","typ":[]}"#, VerifyError::Header),
            (r#"{"typ":"at+jwt"}"#, VerifyError::Header),
            (r#"["ES256"]"#, VerifyError::Header),
            (r#"{"alg":"ES256"} {}"#, VerifyError::Header),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn keys_offered_in_the_header_are_not_read() {
        let text = r#"{"jwk":{"kty":"EC"},"jku":"https://a.example","x5c":[],"x5u":"b","alg":"ES256","kid":"k"}"#;
        let header = parse(text.as_bytes()).unwrap();
        assert_eq!(
            header,
            Header {
                alg: Algorithm::Es256,
                kid: Some("k".into()),
                typ: None
            }
        );
    }

    #[test]
    fn a_type_matches_in_any_case_with_or_without_its_prefix_and_nothing_else() {
        let expect = Expect::typ(&["at+jwt"]);
        for typ in [
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/At+Jwt",
        ] {
            assert!(expect.admits(Some(typ)), "{typ}");
        }
        for typ in [
            "JWT",
            "at+jwt ",
            "",
            "text/at+jwt",
            "application/",
            "application/application/at+jwt",
            "at",
        ] {
            assert!(!expect.admits(Some(typ)), "{typ}");
        }
        assert!(!expect.admits(None));
        assert!(expect.or_absent().admits(None));
    }
}
