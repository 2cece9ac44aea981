//! Time-based one-time passwords (RFC 6238): HMAC-SHA-1, six digits, steps of 30 seconds, as every authenticator app
//! has them. The step before and the one after count too (§5.2); which one it was is proved once by the store.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokensmith_store::Timestamp;
use zeroize::Zeroizing;

const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
/// RFC 4226 §4 asks for at least 16 bytes and recommends 20.
pub(super) const SECRET_BYTES: usize = 20;

/// The secret that an authenticator app shares with the server.
pub(super) struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    pub(super) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The step around this instant whose code this is.
    pub(super) fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let step = now.as_seconds().div_euclid(STEP_SECONDS);
        // Every step is looked at, so that the time it takes tells nothing.
        let mut found = None;
        for candidate in [step - 1, step, step + 1] {
            let right = self.code(candidate);
            if verify_slices_are_equal(right.as_bytes(), code.as_bytes()).is_ok() {
                found = Some(candidate);
            }
        }
        found
    }

    /// RFC 4226 §5.3.
    fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag[tag.len() - 1] & 0x0f);
        let word = tag[offset..offset + 4]
            .iter()
            .fold(0_u32, |word, &byte| (word << 8) | u32::from(byte));
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }

    /// The secret as people type it (RFC 4648 §6, without padding).
    pub(super) fn base32(&self) -> String {
        base32(&self.0)
    }
}

/// What the QR code holds, as authenticator apps read it: the secret as people type it, and whose it is where.
pub(super) fn uri(secret: &str, issuer: &str, account: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (issuer, account) = (encoded(issuer), encoded(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    )
}

/// Whether this text has the form of such a code.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 4648 §6, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits) as usize & 31]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8; 20] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = TotpSecret::new(*SECRET);
        // RFC 6238 appendix B, cut to six digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code(seconds / 30), code, "{seconds}");
        }
    }

    #[test]
    fn the_step_before_and_the_one_after_count_and_no_other() {
        let secret = TotpSecret::new(*SECRET);
        let now = 1_111_111_111;
        let step = now / 30;
        for (off, counts) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let found = secret.step_of(&secret.code(step + off), Timestamp::from_seconds(now));
            assert_eq!(found, counts.then_some(step + off), "{off}");
        }
        for wrong in ["", "05047", "0504710", "05047a", "٠٥٠٤٧١"] {
            let found = secret.step_of(wrong, Timestamp::from_seconds(now));
            assert_eq!(found, None, "{wrong}");
        }
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_uri_names_issuer_and_account() {
        let uri = super::uri(
            &TotpSecret::new(*SECRET).base32(),
            "auth.example.com",
            "a b@example.com",
        );
        assert_eq!(
            uri,
            "otpauth://totp/auth%2Eexample%2Ecom:a%20b%40example%2Ecom?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
            &issuer=auth%2Eexample%2Ecom&algorithm=SHA1&digits=6&period=30"
        );
    }
}
