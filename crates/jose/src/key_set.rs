//! Verification of compact JWS (RFC 7515 section 5.2) against a set of keys.
//! Refuses anything too long before it decodes, and every token whose `alg` is not the one of the key it names.

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Algorithm, Expect, Header, JwkSet, KeyError, VerifyError, VerifyingKey, base64url, header,
    strict_json,
};

/// The longest token looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// The longest header segment looked at, in base64url characters.
pub const MAX_HEADER: usize = 1024;
/// Bytes of the largest signature: RSA with 4096 bits.
const MAX_SIGNATURE: usize = 512;

/// The keys of one issuer. Key ids are unique.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
}

/// A token whose signature holds. Times, issuer and audience are for the caller to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The protected header.
    pub header: Header,
    /// The payload, not yet parsed.
    pub payload: Vec<u8>,
}

impl Verified {
    /// The claims; duplicate members are refused at every depth.
    ///
    /// # Errors
    /// [`VerifyError::Claims`].
    pub fn claims<'de, T: Deserialize<'de>>(&'de self) -> Result<T, VerifyError> {
        strict_json::from_slice(&self.payload).map_err(|_| VerifyError::Claims)
    }
}

/// The claims of a token of which nothing was checked: only for finding out whose keys must verify it.
///
/// # Errors
/// [`VerifyError::TooLong`], [`VerifyError::Malformed`] or [`VerifyError::Claims`].
pub fn unverified_claims<T: DeserializeOwned>(token: &str) -> Result<T, VerifyError> {
    let segments = Segments::split(token, MAX_TOKEN, MAX_HEADER)?;
    let payload = base64url::decode(segments.payload).ok_or(VerifyError::Malformed)?;
    strict_json::from_slice(&payload).map_err(|_| VerifyError::Claims)
}

impl KeySet {
    /// A set of these keys.
    ///
    /// # Errors
    /// [`KeyError::DuplicateKeyId`].
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, KeyError> {
        let mut set = Self::default();
        for key in keys {
            if key.kid().is_some() && set.keys.iter().any(|other| other.kid() == key.kid()) {
                return Err(KeyError::DuplicateKeyId);
            }
            set.keys.push(key);
        }
        Ok(set)
    }

    /// The usable keys of a JWK set; RFC 7517 section 5 has the others ignored.
    ///
    /// # Errors
    /// [`KeyError::DuplicateKeyId`].
    pub fn from_jwks(set: &JwkSet) -> Result<Self, KeyError> {
        Self::new(
            set.keys
                .iter()
                .filter_map(|jwk| VerifyingKey::from_jwk(jwk).ok()),
        )
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no token can ever verify.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks form, type, key and signature of a token.
    ///
    /// # Errors
    /// [`VerifyError`]; [`VerifyError::UnknownKey`] is the one that newer keys could mend.
    pub fn verify(&self, token: &str, expect: Expect<'_>) -> Result<Verified, VerifyError> {
        let segments = Segments::split(token, MAX_TOKEN, MAX_HEADER)?;
        let header = segments.header()?;
        if !expect.admits(header.typ.as_deref()) {
            return Err(VerifyError::Type);
        }
        let key = self.key_for(&header)?;
        segments.verify(key)?;
        let payload = base64url::decode(segments.payload).ok_or(VerifyError::Malformed)?;
        Ok(Verified { header, payload })
    }

    /// The key of that exact id; without an id, the only key of that algorithm. Its algorithm must be the header's.
    fn key_for(&self, header: &Header) -> Result<&VerifyingKey, VerifyError> {
        let Some(kid) = header.kid.as_deref() else {
            return self.only_key(header.alg);
        };
        let key = self
            .keys
            .iter()
            .find(|key| key.kid() == Some(kid))
            .ok_or(VerifyError::UnknownKey)?;
        if key.algorithm() == header.alg {
            Ok(key)
        } else {
            Err(VerifyError::Algorithm)
        }
    }

    fn only_key(&self, algorithm: Algorithm) -> Result<&VerifyingKey, VerifyError> {
        let mut keys = self.keys.iter().filter(|key| key.algorithm() == algorithm);
        match (keys.next(), keys.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(VerifyError::UnknownKey),
        }
    }
}

/// The three segments, still encoded.
pub(crate) struct Segments<'a> {
    signed: &'a str,
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    signature: &'a str,
}

impl<'a> Segments<'a> {
    pub(crate) fn split(
        token: &'a str,
        max_token: usize,
        max_header: usize,
    ) -> Result<Self, VerifyError> {
        if token.len() > max_token {
            return Err(VerifyError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(VerifyError::Malformed)?;
        if header.len() > max_header {
            return Err(VerifyError::TooLong);
        }
        if payload.contains('.') {
            return Err(VerifyError::Malformed);
        }
        Ok(Self {
            signed,
            header,
            payload,
            signature,
        })
    }

    fn header(&self) -> Result<Header, VerifyError> {
        let mut buffer = [0; MAX_HEADER];
        let bytes =
            base64url::decode_into(self.header, &mut buffer).ok_or(VerifyError::Malformed)?;
        header::parse(bytes)
    }

    pub(crate) fn verify(&self, key: &VerifyingKey) -> Result<(), VerifyError> {
        let mut buffer = [0; MAX_SIGNATURE + 3];
        let signature =
            base64url::decode_into(self.signature, &mut buffer).ok_or(VerifyError::Malformed)?;
        key.verify(self.signed.as_bytes(), signature)
    }
}
