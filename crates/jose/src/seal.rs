//! Secrets at rest: AES-256-GCM with a random nonce, the key's id inside the sealed bytes, and caller's context as AAD.
//! Refuses to open with another key, another context or another version. One key seals at most 2^32 secrets.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// Layout 1: `1 | length of id | id | nonce (12) | ciphertext | tag (16)`; the AAD is the part before the nonce, then the caller's.
const LAYOUT: u8 = 1;

/// Why sealing or opening failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The key id is empty or longer than 64 bytes.
    #[error("the key id must have 1 to 64 bytes")]
    KeyId,
    /// The bytes were not sealed by this crate.
    #[error("the sealed bytes are malformed")]
    Malformed,
    /// No key of that id is at hand.
    #[error("the sealed bytes name another key")]
    UnknownKey,
    /// The key or the context is another, or the bytes were altered.
    #[error("the sealed bytes do not open")]
    Opening,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// A 256-bit key with a name.
pub struct SealingKey {
    id: String,
    key: RandomizedNonceKey,
}

impl SealingKey {
    /// A key of these bytes; `id` is stored in clear with everything it seals.
    ///
    /// # Errors
    /// [`SealError::KeyId`].
    pub fn new(id: impl Into<String>, bytes: &[u8; 32]) -> Result<Self, SealError> {
        let id = id.into();
        if !(1..=64).contains(&id.len()) {
            return Err(SealError::KeyId);
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Library)?;
        Ok(Self { id, key })
    }

    /// The key's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals `plaintext` so that it opens only with this key and the same `aad`.
    ///
    /// # Errors
    /// [`SealError::Library`].
    pub fn seal(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = self.prefix();
        let context = [sealed.as_slice(), aad].concat();
        let nonce_at = sealed.len();
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(plaintext);
        let body = &mut sealed[nonce_at + NONCE_LEN..];
        let (nonce, tag) = self
            .key
            .seal_in_place_separate_tag(Aad::from(context), body)
            .map_err(|_| SealError::Library)?;
        sealed[nonce_at..nonce_at + NONCE_LEN].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) made with the same key and `aad`.
    ///
    /// # Errors
    /// [`SealError::Malformed`], [`SealError::UnknownKey`] or [`SealError::Opening`].
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let parts = Parts::read(sealed)?;
        if parts.id != self.id {
            return Err(SealError::UnknownKey);
        }
        let context = [parts.prefix, aad].concat();
        let nonce =
            Nonce::try_assume_unique_for_key(parts.nonce).map_err(|_| SealError::Malformed)?;
        let mut opened = Zeroizing::new(parts.body.to_vec());
        let len = self
            .key
            .open_in_place(nonce, Aad::from(context), &mut opened)
            .map_err(|_| SealError::Opening)?
            .len();
        opened.truncate(len);
        Ok(opened)
    }

    fn prefix(&self) -> Vec<u8> {
        // The id has at most 64 bytes, which `new` checked.
        let mut prefix = vec![LAYOUT, self.id.len() as u8];
        prefix.extend_from_slice(self.id.as_bytes());
        prefix
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

/// The id of the key that sealed these bytes, to find it among several and to count what remains to be sealed anew.
///
/// # Errors
/// [`SealError::Malformed`].
pub fn key_id(sealed: &[u8]) -> Result<&str, SealError> {
    Parts::read(sealed).map(|parts| parts.id)
}

struct Parts<'a> {
    prefix: &'a [u8],
    id: &'a str,
    nonce: &'a [u8],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(sealed: &'a [u8]) -> Result<Self, SealError> {
        Self::split(sealed).ok_or(SealError::Malformed)
    }

    fn split(sealed: &'a [u8]) -> Option<Self> {
        let (&[LAYOUT, len], _) = sealed.split_first_chunk::<2>()? else {
            return None;
        };
        let (prefix, rest) = sealed.split_at_checked(2 + usize::from(len))?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let id = std::str::from_utf8(&prefix[2..]).ok()?;
        Some(Self {
            prefix,
            id,
            nonce,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, byte: u8) -> SealingKey {
        SealingKey::new(id, &[byte; 32]).unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_id_and_context() {
        let sealed = key("a", 1).seal(b"secret", b"user 1").unwrap();
        assert_eq!(&**key("a", 1).open(&sealed, b"user 1").unwrap(), b"secret");
        assert_eq!(
            key("a", 1).open(&sealed, b"user 2"),
            Err(SealError::Opening)
        );
        assert_eq!(
            key("a", 2).open(&sealed, b"user 1"),
            Err(SealError::Opening)
        );
        assert_eq!(
            key("b", 1).open(&sealed, b"user 1"),
            Err(SealError::UnknownKey)
        );
        assert_eq!(key_id(&sealed), Ok("a"));
    }

    #[test]
    fn the_same_secret_sealed_twice_looks_different() {
        assert_ne!(
            key("a", 1).seal(b"secret", b"").unwrap(),
            key("a", 1).seal(b"secret", b"").unwrap()
        );
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let key = key("key-2026", 7);
        let sealed = key.seal(b"secret", b"context").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(key.open(&altered, b"context").is_err(), "byte {at}");
            assert!(key.open(&sealed[..at], b"context").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn key_ids_have_bounds() {
        assert!(SealingKey::new("", &[0; 32]).is_err());
        assert!(SealingKey::new("x".repeat(65), &[0; 32]).is_err());
        assert!(SealingKey::new("x".repeat(64), &[0; 32]).is_ok());
    }
}
