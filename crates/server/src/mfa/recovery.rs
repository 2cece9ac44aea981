//! Recovery codes: ten of them, shown once, for whoever lost every other factor. 80 random bits each, kept as SHA-256.

use aws_lc_rs::digest;
use tokensmith_store::{RecoveryDigest, UserId};

use super::totp::base32;
use crate::entropy::Entropy;

const CODES: usize = 10;
const BYTES: usize = 10;
/// Characters of a code, and of each of its parts.
const LENGTH: usize = 16;
const PART: usize = 4;

/// New codes as they are shown, with what is kept of them.
pub(super) struct RecoveryCodes {
    pub(super) shown: Vec<String>,
    pub(super) kept: Vec<RecoveryDigest>,
}

impl RecoveryCodes {
    pub(super) fn new(entropy: &Entropy, user: &UserId) -> Self {
        let plain: Vec<String> = (0..CODES)
            .map(|_| base32(&entropy.bytes::<BYTES>()).to_ascii_lowercase())
            .collect();
        Self {
            shown: plain.iter().map(|code| in_parts(code)).collect(),
            kept: plain.iter().map(|code| digest_of(user, code)).collect(),
        }
    }
}

fn in_parts(code: &str) -> String {
    let parts: Vec<&str> = (0..LENGTH / PART)
        .map(|part| &code[part * PART..(part + 1) * PART])
        .collect();
    parts.join("-")
}

/// What is kept of a typed code; `None` for a text that is none. Spaces, hyphens and capitals are how people type.
pub(super) fn typed(user: &UserId, text: &str) -> Option<RecoveryDigest> {
    if text.len() > 64 {
        return None;
    }
    let letters = text.chars().filter(|c| !matches!(c, ' ' | '-'));
    let code: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    let is_code = code.len() == LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| digest_of(user, &code))
}

fn digest_of(user: &UserId, code: &str) -> RecoveryDigest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(user.as_str().as_bytes());
    context.update(code.as_bytes());
    let mut kept = [0; 32];
    kept.copy_from_slice(context.finish().as_ref());
    RecoveryDigest(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed_and_only_for_its_user() {
        let user = |last: char| -> UserId {
            let id = format!("01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6{last}");
            id.parse().expect("a canonical UUID")
        };
        let codes = RecoveryCodes::new(&Entropy::seeded(1), &user('1'));
        let (shown, kept) = (&codes.shown[0], codes.kept[0]);
        assert_eq!((codes.shown.len(), shown.len()), (10, 19));
        for spelled in [shown.clone(), shown.to_uppercase(), shown.replace('-', " ")] {
            assert_eq!(typed(&user('1'), &spelled), Some(kept));
        }
        assert_ne!(typed(&user('2'), shown), Some(kept));
        for wrong in ["", "123456", "xxxx-xxxx-xxxx-xxx", "xxxx-xxxx-xxxx-xxxé"] {
            assert_eq!(typed(&user('1'), wrong), None, "{wrong}");
        }
    }
}
