//! The resource-server library against the bare signature check, both in this process on one core, in turns: the whole
//! way from a token's text to the caller, for tokens never seen (each is shown once) and for tokens seen before.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::json;
use tokensmith_jose::{Algorithm, Jwk, JwkSet, Signer, SigningKey};
use tokensmith_resource_server::ResourceServer;
use tokio::runtime::Runtime;

use super::Effort;
use crate::subject;
use crate::table::Row;
use crate::turns;

const ISSUER: &str = "http://127.0.0.1:8000";
const AUDIENCE: &str = "https://api.activity.com";
/// Tokens a turn, and turns a round.
const TOKENS: usize = 250;
const TURNS: usize = 16;
const NEW_TIMES: f64 = 1.15;
const SEEN_MICROSECONDS: f64 = 2.0;

/// Signed tokens and the key that proves them.
struct Tokens {
    texts: Vec<String>,
    key: Jwk,
}

/// A token never seen, against the signature check alone. Turns are short and many: nothing here waits.
pub(crate) fn new_token(effort: Effort) -> Result<Row> {
    let bench = Bench::new(TOKENS * TURNS * effort.rounds)?;
    let rounds = bench.tokens.texts.chunks(TOKENS).enumerate();
    let pairs = rounds
        .map(|(round, texts)| {
            if round % 2 == 0 {
                let bare = bench.bare(texts)?;
                return Ok((bare, bench.library(texts)?));
            }
            let library = bench.library(texts)?;
            Ok((bench.bare(texts)?, library))
        })
        .collect::<Result<Vec<_>>>()?;
    let turns = turns::of(&pairs);
    Ok(Row {
        what: "validation in the library, a token never seen, against the bare ES256 check".into(),
        limit: format!("{:.1} µs", turns.limit),
        ours: format!("{:.1} µs", turns.ours),
        ratio: format!("{:.2} ×", turns.ratio),
        bound: format!("≤ {NEW_TIMES} ×"),
        holds: turns.ratio <= NEW_TIMES,
    })
}

/// A token seen before.
pub(crate) fn seen_token(effort: Effort) -> Result<Row> {
    let bench = Bench::new(TOKENS)?;
    bench.library(&bench.tokens.texts)?;
    let times = (0..effort.rounds)
        .map(|_| bench.library(&bench.tokens.texts))
        .collect::<Result<Vec<_>>>()?;
    let median = turns::median(times.into_iter());
    Ok(Row {
        what: "validation in the library, a token seen before".into(),
        limit: String::new(),
        ours: format!("{median:.2} µs"),
        ratio: String::new(),
        bound: format!("< {SEEN_MICROSECONDS} µs"),
        holds: median < SEEN_MICROSECONDS,
    })
}

struct Bench {
    tokens: Tokens,
    server: ResourceServer,
    key: ParsedPublicKey,
    runtime: Runtime,
}

impl Bench {
    fn new(count: usize) -> Result<Self> {
        let tokens = Tokens::sign(count)?;
        let keys = JwkSet {
            keys: vec![tokens.key.clone()],
        };
        Ok(Self {
            key: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, tokens.public_point()?)?,
            server: ResourceServer::builder(ISSUER, AUDIENCE)
                .jwk_set(keys)
                .build()?,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            tokens,
        })
    }

    /// Microseconds a token of the signature check alone; cutting and decoding the token is not timed.
    fn bare(&self, texts: &[String]) -> Result<f64> {
        let parts: Vec<(&[u8], Vec<u8>)> =
            texts.iter().map(|text| cut(text)).collect::<Result<_>>()?;
        microseconds_each(parts.len(), || {
            parts
                .iter()
                .try_for_each(|(input, signature)| Ok(self.key.verify_sig(input, signature)?))
        })
    }

    /// Microseconds a token from text to caller.
    fn library(&self, texts: &[String]) -> Result<f64> {
        microseconds_each(texts.len(), || {
            self.runtime.block_on(async {
                for text in texts {
                    let caller = self.server.verify(text).await;
                    ensure!(
                        caller.is_ok_and(|caller| caller.subject() == "bench-0000000"),
                        "a good token was refused"
                    );
                }
                Ok(())
            })
        })
    }
}

impl Tokens {
    fn sign(count: usize) -> Result<Self> {
        let key = Arc::new(SigningKey::generate(Algorithm::Es256)?);
        let signer = Signer::new(Arc::clone(&key), "at+jwt")?;
        let now = subject::now().as_seconds();
        let sign = |number: usize| {
            let claims = json!({
                "iss": ISSUER, "sub": "bench-0000000", "client_id": "bench-0000000", "scope": "groups:read members:read",
                "type": "access", "aud": [AUDIENCE], "iat": now, "exp": now + 900, "jti": format!("{number:022}"),
            });
            signer.sign(&claims)
        };
        let texts = (0..count).map(sign).collect::<Result<_, _>>()?;
        Ok(Self {
            texts,
            key: key.public_jwk().clone(),
        })
    }

    /// The uncompressed point of the public key (SEC 1 section 2.3.3).
    fn public_point(&self) -> Result<Vec<u8>> {
        let coordinate =
            |text: &Option<String>| BASE64URL.decode(text.as_deref().unwrap_or_default());
        Ok([vec![4], coordinate(&self.key.x)?, coordinate(&self.key.y)?].concat())
    }
}

fn cut(text: &str) -> Result<(&[u8], Vec<u8>)> {
    let (input, signature) = text.rsplit_once('.').context("a token has three parts")?;
    Ok((input.as_bytes(), BASE64URL.decode(signature)?))
}

#[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
fn microseconds_each(count: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e6 / count as f64)
}
