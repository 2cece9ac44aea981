//! Tokens bound to a key (RFC 9449 section 7): each request proves the key anew, and each proof is good once.
//! The address a proof must name is made from the configured public address, never from a header field.

mod recent;

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::OriginalUri;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::request::Parts;
use tokensmith_jose::dpop::{self, NonceKey, Proof, Request};
use tokensmith_oauth2::Thumbprint;

use self::recent::Recent;
use crate::TokenError;
use crate::refusal::Cause;

const PROOF: &str = "dpop";

/// Remembers the proofs that were used, for services that run as several processes: together they take each proof once.
pub trait Replays: Send + Sync + 'static {
    /// Whether the proof with this digest is used for the first time; it must be remembered until `expires_at`, in
    /// seconds since 1970. `None`: nobody can say, and the request is refused with 503.
    fn is_first_use<'a>(
        &'a self,
        proof: &'a [u8; 32],
        expires_at: u64,
    ) -> BoxFuture<'a, Option<bool>>;
}

/// How proofs are checked.
pub(crate) struct Dpop {
    /// Without a slash at its end.
    public_url: String,
    nonces: Option<NonceKey>,
    replays: Memory,
}

enum Memory {
    Own(Recent),
    Shared(Arc<dyn Replays>),
}

impl Dpop {
    pub(crate) fn new(
        public_url: &str,
        nonces: Option<NonceKey>,
        shared: Option<Arc<dyn Replays>>,
        remembered: usize,
    ) -> Self {
        Self {
            public_url: public_url.trim_end_matches('/').to_owned(),
            nonces,
            replays: shared.map_or_else(|| Memory::Own(Recent::new(remembered)), Memory::Shared),
        }
    }

    /// Whether the request proves this key for this token.
    pub(crate) async fn prove(
        &self,
        parts: &Parts,
        token: &str,
        key: Thumbprint,
        now: u64,
    ) -> Result<(), Cause> {
        let url = self.url(parts);
        let request = Request {
            method: parts.method.as_str(),
            url: &url,
            now: now.cast_signed(),
            access_token: Some(token),
        };
        let proof =
            dpop::verify(one_proof(&parts.headers)?, &request).map_err(TokenError::Proof)?;
        if proof.key != key {
            return Err(
                TokenError::Unproven("the proof is of another key than the token's").into(),
            );
        }
        self.check_nonce(&proof, request.now)?;
        self.use_up(&proof, now).await
    }

    /// The path as the caller sent it: a nested router has cut the beginning off `uri`.
    fn url(&self, parts: &Parts) -> String {
        let original = parts.extensions.get::<OriginalUri>();
        let uri = original.map_or(&parts.uri, |OriginalUri(uri)| uri);
        format!("{}{}", self.public_url, uri.path())
    }

    fn check_nonce(&self, proof: &Proof, now: i64) -> Result<(), Cause> {
        let Some(nonces) = &self.nonces else {
            return Ok(());
        };
        let shown = proof.nonce.as_deref();
        if shown.is_some_and(|shown| nonces.is_fresh(shown, now)) {
            return Ok(());
        }
        Err(Cause::NeedsNonce(nonces.nonce(now)))
    }

    async fn use_up(&self, proof: &Proof, now: u64) -> Result<(), Cause> {
        let name = format!("{}{}", proof.key, proof.jti);
        let mut digest = [0; 32];
        digest.copy_from_slice(digest::digest(&digest::SHA256, name.as_bytes()).as_ref());
        let expires_at = proof.expires_at.max(0).cast_unsigned();
        let is_first = match &self.replays {
            Memory::Own(recent) => recent.is_first_use(&digest, expires_at, now),
            Memory::Shared(shared) => shared.is_first_use(&digest, expires_at).await,
        };
        match is_first {
            Some(true) => Ok(()),
            Some(false) => Err(TokenError::Unproven("the proof was used before").into()),
            None => Err(Cause::ReplaysUnknown),
        }
    }
}

fn one_proof(headers: &HeaderMap) -> Result<&str, Cause> {
    let mut values = headers.get_all(PROOF).iter();
    let text = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        (None, _) => return Err(TokenError::Unproven("the request has no proof").into()),
        _ => return Err(TokenError::Unproven("the request has more than one proof").into()),
    };
    Ok(text)
}
