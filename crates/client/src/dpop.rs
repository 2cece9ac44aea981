//! The key that tokens are bound to (RFC 9449): proofs for each request, and the nonces that servers ask for.
//! It refuses to prove a request without an absolute address, because a proof must name it.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderValue, Method, header};
use parking_lot::Mutex;
use tokensmith_jose::{
    Algorithm, SigningKey,
    dpop::{Prover, Request},
};
use url::Url;

use crate::SettingsError;

pub(crate) const PROOF: &str = "dpop";
const NONCE: &str = "dpop-nonce";
/// Servers whose nonces are kept; past it all are forgotten and learned again.
const MAX_ORIGINS: usize = 64;
const MAX_NONCE: usize = 256;

/// A key that tokens are bound to. Clones share it, and the nonces; `Debug` does not show it.
///
/// A service makes one when it starts. Keep one across starts only if something outlives the process that is bound to
/// it, such as a refresh token.
#[derive(Clone)]
pub struct DpopKey(Arc<Held>);

struct Held {
    key: Arc<SigningKey>,
    prover: Prover,
    nonces: Mutex<HashMap<String, String>>,
}

impl DpopKey {
    /// A new ES256 key.
    ///
    /// # Errors
    /// [`SettingsError::DpopKey`] should the cryptographic library fail.
    pub fn generate() -> Result<Self, SettingsError> {
        Self::new(SigningKey::generate(Algorithm::Es256).map_err(unusable)?)
    }

    /// An ES256 key from an unencrypted PKCS#8 document in DER.
    ///
    /// # Errors
    /// [`SettingsError::DpopKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SettingsError> {
        Self::new(SigningKey::from_pkcs8(Algorithm::Es256, der).map_err(unusable)?)
    }

    fn new(key: SigningKey) -> Result<Self, SettingsError> {
        let key = Arc::new(key);
        Ok(Self(Arc::new(Held {
            prover: Prover::new(Arc::clone(&key)).map_err(unusable)?,
            key,
            nonces: Mutex::default(),
        })))
    }

    /// The RFC 7638 thumbprint: the `jkt` of tokens that are bound to this key.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        self.0.key.kid()
    }

    /// A proof of one request; `access_token` is that of a request to a resource.
    pub(crate) fn proof(
        &self,
        method: &Method,
        url: &str,
        access_token: Option<&str>,
    ) -> Option<HeaderValue> {
        let nonce = self.0.nonces.lock().get(&origin(url)?).cloned();
        let request = Request {
            method: method.as_str(),
            url,
            now: unix_seconds(),
            access_token,
        };
        let proof = self.0.prover.prove(&request, nonce.as_deref()).ok()?;
        HeaderValue::try_from(proof).ok()
    }

    /// Keeps the nonce that an answer brought, for the next proof to that server (RFC 9449 §8.2). Says whether it is
    /// another one than before.
    pub(crate) fn learn(&self, url: &str, answer: &HeaderMap) -> bool {
        let nonce = answer.get(NONCE).and_then(|nonce| nonce.to_str().ok());
        let nonce = nonce.filter(|nonce| (1..=MAX_NONCE).contains(&nonce.len()));
        let (Some(nonce), Some(origin)) = (nonce, origin(url)) else {
            return false;
        };
        let mut nonces = self.0.nonces.lock();
        if nonces.len() >= MAX_ORIGINS && !nonces.contains_key(&origin) {
            nonces.clear();
        }
        let before = nonces.insert(origin, nonce.to_owned());
        before.as_deref() != Some(nonce)
    }
}

/// Nonces belong to the server that gave them.
fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(Url::has_host)?;
    Some(url.origin().ascii_serialization())
}

/// Whether a resource server refused for want of a nonce (RFC 9449 §9).
pub(crate) fn asks_for_nonce(answer: &HeaderMap) -> bool {
    let mut challenges = answer.get_all(header::WWW_AUTHENTICATE).iter();
    challenges.any(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.contains("error=\"use_dpop_nonce\""))
    })
}

fn unusable(error: impl fmt::Display) -> SettingsError {
    SettingsError::DpopKey(error.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this crate reads the wall clock"
)]
pub(crate) fn unix_seconds() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| elapsed.as_secs().cast_signed())
}

impl PartialEq for DpopKey {
    fn eq(&self, other: &Self) -> bool {
        self.thumbprint() == other.thumbprint()
    }
}

impl Eq for DpopKey {}

impl std::hash::Hash for DpopKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.thumbprint().hash(state);
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DpopKey").field(&self.thumbprint()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(nonce: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(NONCE),
            HeaderValue::from_str(nonce).unwrap(),
        )])
    }

    #[test]
    fn a_nonce_is_kept_for_its_server_alone_and_their_number_is_bounded() {
        let key = DpopKey::generate().unwrap();
        assert!(key.learn("https://a.test/x", &answer("n1")));
        assert!(
            !key.learn("https://a.test/y?z", &answer("n1")),
            "the same again"
        );
        assert!(key.learn("https://a.test/", &answer("n2")));
        for odd in [answer(""), answer(&"x".repeat(257)), HeaderMap::new()] {
            assert!(!key.learn("https://a.test/", &odd));
        }
        assert!(!key.learn("/relative", &answer("n1")));
        assert_eq!(key.0.nonces.lock().get("https://a.test").unwrap(), "n2");
        assert_eq!(key.0.nonces.lock().get("https://b.test"), None);
        for number in 0..500 {
            key.learn(&format!("https://{number}.test/"), &answer("n"));
            assert!(key.0.nonces.lock().len() <= MAX_ORIGINS);
        }
    }

    #[test]
    fn a_proof_needs_an_absolute_address() {
        let key = DpopKey::generate().unwrap();
        assert!(key.proof(&Method::GET, "https://a.test/x", None).is_some());
        assert!(key.proof(&Method::GET, "/x", None).is_none());
        assert!(key.proof(&Method::GET, "data:text/plain,x", None).is_none());
    }

    #[test]
    fn a_key_is_read_back_from_pkcs8_and_not_printed() {
        let key = DpopKey::generate().unwrap();
        let again = DpopKey::from_pkcs8(&key.0.key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(key, again);
        assert!(DpopKey::from_pkcs8(b"nonsense").is_err());
        assert_eq!(
            format!("{key:?}"),
            format!("DpopKey({:?})", key.thumbprint())
        );
    }
}
