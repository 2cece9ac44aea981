//! Proofs of possession that are shown to this server (RFC 9449): the one header field, the proof itself, its nonce
//! where one is required, and its single use, which the database proves.
//!
//! The address a proof must name is made from the configured issuer. Nothing of a proof is believed that the
//! signature does not cover.

mod shown_token;

use aws_lc_rs::hmac;
use http::HeaderMap;
use tokensmith_jose::{
    VerifyError,
    dpop::{self, NonceKey, Proof, ProofError, Request},
};
use tokensmith_oauth2::{ErrorCode, Thumbprint, challenge};
use tokensmith_store::{JtiKind, JtiUse, StoreError, Timestamp, UseJti};

use crate::{
    app::App,
    config::{Issuer, MasterKey},
    error::{ApiError, OAuthError},
    registry::RegisteredClient,
};

pub(crate) use shown_token::ShownToken;

/// The header field of a proof.
const PROOF: &str = "dpop";
const NONCE_LABEL: &[u8] = b"tokensmith DPoP nonce key";

/// The nonce key that follows from a master key: all nodes have the same.
pub(crate) fn nonce_key(master: &MasterKey) -> NonceKey {
    let master = hmac::Key::new(hmac::HMAC_SHA256, master.expose());
    NonceKey::new(hmac::sign(&master, NONCE_LABEL).as_ref())
}

/// The request that a proof must be about.
pub(crate) struct About<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) access_token: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// A proof that held.
pub(crate) struct Held {
    /// The key it proves.
    pub(crate) key: Thumbprint,
    /// The nonce for the next proof, where one is required and the shown one is no longer the newest.
    pub(crate) next_nonce: Option<String>,
}

/// Why no key was proven.
#[derive(Debug)]
pub(crate) enum DpopError {
    /// None was sent where one is required.
    Missing,
    /// More than one was sent (RFC 9449 §4.3).
    Several,
    /// It does not hold.
    Refused(ProofError),
    /// It must repeat this nonce (§8).
    NeedsNonce(String),
    /// It was shown before (§11.1).
    Replayed,
    /// The token is bound to another key.
    WrongKey,
    /// The store does not answer.
    Store(StoreError),
}

/// The proof of a request, if there is one.
pub(crate) fn proof(headers: &HeaderMap) -> Result<Option<&str>, DpopError> {
    let Some(first) = headers.get(PROOF) else {
        return Ok(None);
    };
    if headers.get_all(PROOF).iter().nth(1).is_some() {
        return Err(DpopError::Several);
    }
    let text = first.to_str();
    text.map(Some)
        .map_err(|_| DpopError::Refused(VerifyError::Malformed.into()))
}

/// Whether this client's proofs must repeat a nonce.
pub(crate) fn needs_nonce(app: &App, client: &RegisteredClient) -> bool {
    app.config().dpop.require_nonce || client.client.metadata.dpop_require_nonce
}

/// Checks a proof, and uses it up.
pub(crate) async fn check(
    app: &App,
    proof: &str,
    about: &About<'_>,
    needs_nonce: bool,
) -> Result<Held, DpopError> {
    let proof = verified(app, proof, about).map_err(DpopError::Refused)?;
    let now = about.now.as_seconds();
    let newest = needs_nonce.then(|| app.dpop_nonces().nonce(now));
    if let Some(newest) = &newest {
        let shown = proof.nonce.as_deref();
        if !shown.is_some_and(|shown| app.dpop_nonces().is_fresh(shown, now)) {
            return Err(DpopError::NeedsNonce(newest.clone()));
        }
    }
    let first_use = UseJti {
        kind: JtiKind::DpopProof,
        owner: proof.key.to_string(),
        jti: proof.jti,
        expires_at: Timestamp::from_seconds(proof.expires_at),
    };
    match app.store().write(first_use).await {
        Ok(JtiUse::First) => Ok(Held {
            key: proof.key,
            next_nonce: newest.filter(|newest| proof.nonce.as_ref() != Some(newest)),
        }),
        Ok(JtiUse::Replayed) => Err(DpopError::Replayed),
        Err(error) => Err(DpopError::Store(error)),
    }
}

fn verified(app: &App, proof: &str, about: &About<'_>) -> Result<Proof, ProofError> {
    let at = |base: &Issuer| {
        let request = Request {
            method: about.method,
            url: &base.endpoint(about.path),
            now: about.now.as_seconds(),
            access_token: about.access_token,
        };
        dpop::verify(proof, &request)
    };
    let config = app.config();
    match (at(&config.issuer), &config.mtls.base_url) {
        // Clients with certificates may reach the server under another address (RFC 8705 §5).
        (Err(ProofError::Address), Some(base)) => at(base),
        (outcome, _) => outcome,
    }
}

impl DpopError {
    fn refusal(&self) -> &'static str {
        match self {
            Self::Missing => "dpop_proof_missing",
            Self::Several => "two_dpop_proofs",
            Self::Refused(_) => "dpop_proof_refused",
            Self::NeedsNonce(_) => "dpop_nonce_needed",
            Self::Replayed => "dpop_proof_replayed",
            Self::WrongKey => "dpop_key_wrong",
            Self::Store(_) => "unavailable",
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::NeedsNonce(_) => ErrorCode::UseDpopNonce,
            _ => ErrorCode::InvalidDpopProof,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Missing => "Send a proof in the DPoP header: the token is bound to a key.".into(),
            Self::Several => "Send one DPoP header, not several.".into(),
            Self::Refused(error) => format!("The DPoP proof is not acceptable: {error}."),
            Self::NeedsNonce(_) => "Repeat the value of the DPoP-Nonce header in the proof.".into(),
            Self::Replayed => "The DPoP proof was used before. Make a new one.".into(),
            Self::WrongKey => "The DPoP proof is of another key than the token's.".into(),
            Self::Store(_) => "The server cannot answer right now.".into(),
        }
    }
}

impl From<DpopError> for OAuthError {
    fn from(error: DpopError) -> Self {
        let refused = Self::new(error.code(), error.refusal(), error.sentence());
        match error {
            DpopError::Store(error) => error.into(),
            DpopError::NeedsNonce(nonce) => refused.with_dpop_nonce(nonce),
            _ => refused,
        }
    }
}

/// 401 with a challenge (RFC 9449 §7.1).
impl From<DpopError> for ApiError {
    fn from(error: DpopError) -> Self {
        let sentence = error.sentence();
        let challenge = challenge::Bearer::new()
            .error(error.code())
            .description(sentence.clone());
        let refused = Self::unauthorized(error.refusal(), sentence)
            .with_challenge(challenge)
            .only_by_dpop();
        match error {
            DpopError::Store(error) => error.into(),
            DpopError::NeedsNonce(nonce) => refused.with_dpop_nonce(nonce),
            _ => refused,
        }
    }
}
