//! JSON Web Signatures (RFC 7515), keys (RFC 7517, 7638) and sealed secrets, over aws-lc-rs with parsed keys kept.
//!
//! The key decides the algorithm, never the header. There is no `none`, no unprotected header, no key taken
//! from a token, no JSON serialization, no detached payload, no encryption of tokens and no network.
//!
//! ```
//! use std::sync::Arc;
//! use tokensmith_jose::{Algorithm, Expect, KeySet, Signer, SigningKey};
//!
//! let key = Arc::new(SigningKey::generate(Algorithm::Es256)?);
//! let token = Signer::new(key.clone(), "at+jwt")?.sign_bytes(br#"{"sub":"alice"}"#)?;
//!
//! let keys = KeySet::new([key.verifying_key()?])?;
//! let verified = keys.verify(&token, Expect::typ(&["at+jwt"]))?;
//! assert_eq!(verified.payload, br#"{"sub":"alice"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod base64url;
pub mod dpop;
mod error;
mod external;
mod header;
mod import;
mod jwk;
mod key_set;
pub mod seal;
mod signer;
mod signing_key;
pub mod strict_json;
mod verifying_key;

pub use algorithm::Algorithm;
pub use error::{KeyError, SignError, VerifyError};
pub use external::{ExternalSigner, Signing, TokenSigner};
pub use header::{Expect, Header};
pub use jwk::{Jwk, JwkSet, MAX_KEYS};
pub use key_set::{KeySet, MAX_HEADER, MAX_TOKEN, Verified, unverified_claims};
pub use signer::Signer;
pub use signing_key::{HmacKey, SigningKey};
pub use verifying_key::VerifyingKey;
