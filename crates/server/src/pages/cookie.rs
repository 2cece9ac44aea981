//! The cookies of browsers (RFC 6265): `__Host-`, Secure, HttpOnly, SameSite=Lax, Path=/, no Domain, so no other host
//! and no script can set or read them. A cookie that is there twice is not there.

use aws_lc_rs::digest;
use http::{HeaderMap, HeaderValue, header};
use tokensmith_oauth2::Secret;
use tokensmith_store::CookieDigest;

use crate::entropy::Entropy;

const SESSION: &str = "__Host-tokensmith-session";
const LANGUAGE: &str = "__Host-tokensmith-language";
/// 256 bits, base64url.
const SECRET_LENGTH: usize = 43;
const DEVICE: &str = "__Host-tokensmith-device";
const YEAR_SECONDS: u64 = 365 * 86_400;

/// The secret by which a browser is known: of a session when the store knows its digest, of a sign-in that waits, else
/// only of a visitor.
#[derive(Clone)]
pub(crate) struct BrowserSecret(Secret);

impl BrowserSecret {
    pub(super) fn new(entropy: &Entropy) -> Self {
        Self(entropy.secret())
    }

    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        secret(headers, SESSION).map(Self)
    }

    /// A browser whose sign-in waits under this secret.
    pub(super) fn waiting(token: &Secret) -> Self {
        Self(token.clone())
    }

    /// What may name a sign-in that waits.
    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }

    pub(super) fn digest(&self) -> CookieDigest {
        let hash = digest::digest(&digest::SHA256, self.0.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        CookieDigest(bytes)
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Sets it, for so many seconds or until the browser ends.
    pub(super) fn set(&self, seconds: Option<u64>) -> HeaderValue {
        set(SESSION, self.0.expose(), seconds)
    }
}

/// What a remembered device holds.
pub(super) fn device(headers: &HeaderMap) -> Option<Secret> {
    secret(headers, DEVICE)
}

pub(super) fn set_device(secret: &Secret, seconds: u64) -> HeaderValue {
    set(DEVICE, secret.expose(), Some(seconds))
}

/// The tag of the language that was chosen before.
pub(super) fn language(headers: &HeaderMap) -> Option<&str> {
    read(headers, LANGUAGE)
}

pub(super) fn set_language(tag: &'static str) -> HeaderValue {
    set(LANGUAGE, tag, Some(YEAR_SECONDS))
}

fn secret(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let is_character = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    let text = read(headers, name)?;
    let is_one = text.len() == SECRET_LENGTH && text.bytes().all(is_character);
    is_one.then(|| Secret::from(text))
}

fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(header::COOKIE).iter();
    let pairs = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'));
    let mut values = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn set(name: &str, value: &str, seconds: Option<u64>) -> HeaderValue {
    let life = seconds.map_or(String::new(), |seconds| format!("; Max-Age={seconds}"));
    let field = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{life}");
    let mut field = HeaderValue::from_str(&field).unwrap_or_else(|_| HeaderValue::from_static(""));
    field.set_sensitive(true);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(field: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(field).unwrap());
        BrowserSecret::of(&headers).is_some()
    }

    #[test]
    fn a_secret_is_there_once_and_whole() {
        let secret = "A".repeat(43);
        let name = "__Host-tokensmith-session";
        assert!(read_from(&format!("{name}={secret}")));
        assert!(read_from(&format!("a=b; {name}={secret}; c=d")));
        for bad in [
            format!("{name}={secret}; {name}={secret}"),
            format!("{name}={}", &secret[1..]),
            format!("{name}={secret}A"),
            format!("{name}={}.", &secret[1..]),
            format!("tokensmith-session={secret}"),
            format!("__host-tokensmith-session={secret}"),
            name.to_owned(),
            String::new(),
        ] {
            assert!(!read_from(&bad), "{bad}");
        }
    }
}
