//! Private keys and shared secrets, parsed once, each good for one algorithm (RFC 8725 section 3.1).
//! Refuses RSA keys outside 2048 to 4096 bits and shared secrets under 32 bytes; never shows a private part in `Debug`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use zeroize::Zeroizing;

use crate::verifying_key::RSA_MODULUS;
use crate::{Algorithm, Jwk, KeyError, SignError, VerifyingKey, base64url};

/// A private key for one asymmetric algorithm, with its `kid` (RFC 7638 thumbprint) and public half.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    jwk: Jwk,
    kid: String,
}

pub(crate) enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A fresh key; RSA keys have 2048 bits and take a noticeable part of a second.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for HS256, [`KeyError::Library`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Ec)
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed),
            Algorithm::Rs256 | Algorithm::Ps256 => {
                RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa)
            }
            Algorithm::Hs256 => return Err(KeyError::Algorithm),
        };
        Self::from_pair(algorithm, pair.map_err(|_| KeyError::Library)?)
    }

    /// Reads an unencrypted PKCS#8 document (RFC 5208, RFC 5958).
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Algorithm`] or [`KeyError::Strength`].
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::Ec)
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed),
            Algorithm::Rs256 | Algorithm::Ps256 => RsaKeyPair::from_pkcs8(pkcs8).map(Pair::Rsa),
            Algorithm::Hs256 => return Err(KeyError::Algorithm),
        };
        Self::from_pair(algorithm, pair.map_err(|_| KeyError::Malformed)?)
    }

    pub(crate) fn from_pair(algorithm: Algorithm, pair: Pair) -> Result<Self, KeyError> {
        let mut jwk = public_members(&pair)?;
        let kid = jwk.thumbprint().ok_or(KeyError::Library)?;
        jwk.kid = Some(kid.clone());
        jwk.alg = Some(algorithm.as_str().to_owned());
        jwk.usage = Some("sig".to_owned());
        Ok(Self {
            algorithm,
            pair,
            jwk,
            kid,
        })
    }

    /// The private key as PKCS#8, to be sealed and stored.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = match &self.pair {
            Pair::Ec(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::Ed(pair) => pair.to_pkcs8().map(|der| der.as_ref().to_vec()),
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der>::as_der(pair).map(|der| der.as_ref().to_vec()),
        };
        document.map(Zeroizing::new).map_err(|_| KeyError::Library)
    }

    /// The RFC 7638 thumbprint of the public key with SHA-256, base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half with `kid`, `alg` and `use`, as a JWKS document shows it.
    pub fn public_jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The public half, ready to verify.
    ///
    /// # Errors
    /// [`KeyError::Library`] should the library refuse its own key.
    pub fn verifying_key(&self) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_jwk(&self.jwk)
    }

    /// The raw signature of `message`: 64 bytes for ES256 and EdDSA, the size of the modulus for RSA.
    ///
    /// # Errors
    /// [`SignError::Library`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_with(message, <[u8]>::to_vec)
    }

    pub(crate) fn signature_len(&self) -> usize {
        match &self.pair {
            Pair::Ec(_) | Pair::Ed(_) => 64,
            Pair::Rsa(pair) => pair.public_modulus_len(),
        }
    }

    pub(crate) fn sign_with<T>(
        &self,
        message: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, SignError> {
        let random = SystemRandom::new();
        // The library's signature is a buffer for its largest algorithm: it is looked at in place, never moved.
        match &self.pair {
            Pair::Ec(pair) => match &pair.sign(&random, message) {
                Ok(signature) => Ok(take(signature.as_ref())),
                Err(error) => Err(*error),
            },
            Pair::Ed(pair) => match &pair.try_sign(message) {
                Ok(signature) => Ok(take(signature.as_ref())),
                Err(error) => Err(*error),
            },
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(self.padding(), &random, message, &mut signature)
                    .map(|()| take(&signature))
            }
        }
        .map_err(|_| SignError::Library)
    }

    fn padding(&self) -> &'static dyn RsaEncoding {
        if self.algorithm == Algorithm::Ps256 {
            &RSA_PSS_SHA256
        } else {
            &RSA_PKCS1_SHA256
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm, self.kid)
    }
}

fn public_members(pair: &Pair) -> Result<Jwk, KeyError> {
    let text = |bytes: &[u8]| Some(base64url::encode(bytes));
    match pair {
        Pair::Ec(pair) => {
            let point = pair.public_key().as_ref();
            let (x, y) = point
                .get(1..)
                .and_then(|xy| xy.split_at_checked(32))
                .ok_or(KeyError::Library)?;
            Ok(Jwk {
                kty: "EC".into(),
                crv: Some("P-256".into()),
                x: text(x),
                y: text(y),
                ..Jwk::default()
            })
        }
        Pair::Ed(pair) => {
            let x = text(pair.public_key().as_ref());
            Ok(Jwk {
                kty: "OKP".into(),
                crv: Some("Ed25519".into()),
                x,
                ..Jwk::default()
            })
        }
        Pair::Rsa(pair) => {
            if !RSA_MODULUS.contains(&pair.public_modulus_len()) {
                return Err(KeyError::Strength);
            }
            let n = text(
                pair.public_key()
                    .modulus()
                    .big_endian_without_leading_zero(),
            );
            let e = text(
                pair.public_key()
                    .exponent()
                    .big_endian_without_leading_zero(),
            );
            Ok(Jwk {
                kty: "RSA".into(),
                n,
                e,
                ..Jwk::default()
            })
        }
    }
}

/// A shared secret for HS256 of at least 32 bytes (RFC 7518 section 3.2).
#[derive(Clone)]
pub struct HmacKey(Arc<hmac::Key>);

impl HmacKey {
    /// Takes the secret's bytes as they are.
    ///
    /// # Errors
    /// [`KeyError::Strength`] when there are fewer than 32.
    pub fn new(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < 32 {
            return Err(KeyError::Strength);
        }
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    pub(crate) fn inner(&self) -> &Arc<hmac::Key> {
        &self.0
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}
