//! `Authorization: Basic` with client credentials (RFC 6749 §2.3.1): both parts are form-encoded before
//! they are joined. It reads them exactly once: base64 must be canonical, escapes complete, and a header
//! that was built without the encoding is not given a second, lenient reading.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    ClientId, Secret,
    form::{decode, encode_one},
};

/// Why a header holds no client credentials. All of them are `invalid_client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    /// Another scheme, or no credentials after it.
    #[error("the Authorization header does not use the Basic scheme")]
    Scheme,
    /// Not canonical, padded base64.
    #[error("the Basic credentials are not base64")]
    Base64,
    /// No colon between the two parts.
    #[error("the Basic credentials have no colon")]
    Colon,
    /// A part that is not form-encoded text.
    #[error("the Basic credentials are not form-encoded")]
    Encoding,
    /// The first part is not a client id.
    #[error("the Basic credentials name no valid client id")]
    ClientId,
    /// The second part is empty.
    #[error("the Basic credentials hold no secret")]
    NoSecret,
}

/// Reads the value of an `Authorization` header.
///
/// # Errors
/// [`BasicError`].
pub fn parse(header: &str) -> Result<(ClientId, Secret), BasicError> {
    let joined = Zeroizing::new(decode_base64(token68(header)?)?);
    let colon = joined
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(BasicError::Colon)?;
    let id = decode(&joined[..colon]).map_err(|_| BasicError::Encoding)?;
    let secret = decode(&joined[colon + 1..])
        .map(Secret::new)
        .map_err(|_| BasicError::Encoding)?;
    if secret.is_empty() {
        return Err(BasicError::NoSecret);
    }
    Ok((
        ClientId::parse(&id).map_err(|_| BasicError::ClientId)?,
        secret,
    ))
}

/// Writes the value of an `Authorization` header.
#[must_use]
pub fn header(id: &ClientId, secret: &Secret) -> Secret {
    let secret = Zeroizing::new(encode_one(secret.expose()));
    let joined = Zeroizing::new(format!("{}:{}", encode_one(id.as_str()), secret.as_str()));
    Secret::new(format!("Basic {}", STANDARD.encode(joined.as_bytes())))
}

/// True when the header uses the Basic scheme, whatever follows.
#[must_use]
pub fn is_basic(header: &str) -> bool {
    header
        .split(' ')
        .next()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
}

fn token68(header: &str) -> Result<&str, BasicError> {
    let (scheme, rest) = header.split_once(' ').ok_or(BasicError::Scheme)?;
    let token = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("basic") && !token.is_empty() {
        Ok(token)
    } else {
        Err(BasicError::Scheme)
    }
}

fn decode_base64(token: &str) -> Result<Vec<u8>, BasicError> {
    STANDARD.decode(token).map_err(|_| BasicError::Base64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(joined: &str) -> String {
        format!("Basic {}", STANDARD.encode(joined))
    }

    #[test]
    fn row_102_encoded_credentials_are_read() {
        let id = ClientId::parse("a:b").unwrap();
        let secret = Secret::new("p%3A:%+ é");
        assert_eq!(
            parse(header(&id, &secret).expose()),
            Ok((id.clone(), secret.clone()))
        );
        assert_eq!(
            parse(&raw("a%3Ab:p%253A%3A%25%2B+%C3%A9")),
            Ok((id, secret))
        );
    }

    #[test]
    fn row_103_unencoded_credentials_get_no_lenient_reading() {
        assert_eq!(parse(&raw("a:b:p%3A:%+ é")), Err(BasicError::Encoding));
        assert_eq!(parse(&raw("c1:%zz")), Err(BasicError::Encoding));
        let (_, secret) = parse(&raw("c1:p%3Aq")).unwrap();
        assert_eq!(secret.expose(), "p:q");
        let (id, secret) = parse(&raw("a:b:c")).unwrap();
        assert_eq!((id.as_str(), secret.expose()), ("a", "b:c"));
    }

    #[test]
    fn row_100_an_empty_secret_is_refused() {
        assert_eq!(parse(&raw("C1:")), Err(BasicError::NoSecret));
        assert_eq!(parse(&raw("C1")), Err(BasicError::Colon));
        assert_eq!(parse(&raw(":s")), Err(BasicError::ClientId));
        assert_eq!(parse(&raw("C1 :s")), Err(BasicError::ClientId));
        assert_eq!(parse(&raw("c1:a%00")), Err(BasicError::Encoding));
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_base64_is_strict() {
        assert!(parse("bAsIc YTpi").is_ok());
        assert!(is_basic("BASIC x") && !is_basic("Bearer x"));
        for header in ["", "Basic", "Basic ", "Bearer YTpi", "BasicYTpi"] {
            assert_eq!(parse(header), Err(BasicError::Scheme), "{header}");
        }
        for header in [
            "Basic YTpi=",
            "Basic YTpiYQ",
            "Basic YTpiYR==",
            "Basic YT pi",
            "Basic YT-_",
        ] {
            assert_eq!(parse(header), Err(BasicError::Base64), "{header}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(header in "(?i:basic )?[A-Za-z0-9+/= %]{0,60}|\\PC*") {
            let _ = parse(&header);
        }

        #[test]
        fn writing_and_reading_round_trips(id in "[!-~]{1,40}", secret in "[^\\p{Cc}]{1,60}") {
            let Ok(id) = ClientId::parse(&id) else { return Ok(()) };
            let secret = Secret::new(secret);
            prop_assert_eq!(parse(header(&id, &secret).expose()), Ok((id, secret)));
        }
    }
}
