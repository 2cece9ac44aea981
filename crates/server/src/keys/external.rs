//! Signing keys that another process holds, reached over a Unix socket: a line of JSON asks, a line of JSON answers.
//!
//! `{"op":"sign","key":NAME,"alg":ALG,"input":BASE64URL}` is answered by `{"signature":BASE64URL}`,
//! `{"op":"public","key":NAME}` by `{"jwk":{…}}`, and either by `{"error":"…"}`. Connections are kept and bounded,
//! every question has one time limit, and an answer longer than 16 KiB ends its connection.

use std::{path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokensmith_jose::{Algorithm, ExternalSigner, Jwk, Signing, VerifyingKey};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::Semaphore,
    time::timeout,
};

use crate::config;

/// The longest answer, in bytes.
const LONGEST_ANSWER: u64 = 16 << 10;
/// Before the name of a key at the signer, where a key of our own has its PKCS#8.
const REFERENCE: &[u8] = b"external key:";

/// The connections to one signer.
pub struct SignerSocket {
    path: PathBuf,
    timeout: Duration,
    /// One permit a connection.
    permits: Semaphore,
    idle: Mutex<Vec<BufReader<UnixStream>>>,
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Question<'a> {
    Sign {
        key: &'a str,
        alg: &'static str,
        input: String,
    },
    Public {
        key: &'a str,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Signature(String),
    Jwk(Box<Jwk>),
    Error(String),
}

impl SignerSocket {
    /// The signer that the configuration names.
    pub fn new(config: &config::ExternalSigner) -> Option<Arc<Self>> {
        let path = config.socket.clone()?;
        Some(Arc::new(Self {
            path,
            timeout: config.timeout,
            permits: Semaphore::new(config.connections.get()),
            idle: Mutex::default(),
        }))
    }

    /// The public half of one of its keys, named and fit for this algorithm.
    ///
    /// # Errors
    /// A sentence: the signer does not answer, has no such key, or one that cannot be used.
    pub async fn public_key(&self, name: &str, algorithm: Algorithm) -> Result<Jwk, String> {
        let Answer::Jwk(jwk) = self.ask(&Question::Public { key: name }).await? else {
            return Err("it answered with something else than a public key".to_owned());
        };
        let mut jwk = *jwk;
        jwk.kid = jwk.thumbprint();
        jwk.alg = Some(algorithm.as_str().to_owned());
        jwk.usage = Some("sig".to_owned());
        jwk.key_ops = None;
        VerifyingKey::from_jwk(&jwk).map_err(|error| format!("its key {name:?}: {error}"))?;
        Ok(jwk)
    }

    /// Asks, on a kept connection first. One that was closed meanwhile is no failure: signing again does no harm.
    async fn ask(&self, question: &Question<'_>) -> Result<Answer, String> {
        let mut line = serde_json::to_vec(question).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let asked = timeout(self.timeout, async {
            let _permit = self.permits.acquire().await.map_err(|_| closed())?;
            let kept = self.idle.lock().pop();
            if let Some(connection) = kept
                && let Ok(answer) = self.ask_on(connection, &line).await
            {
                return Ok(answer);
            }
            let fresh = UnixStream::connect(&self.path).await;
            let fresh = fresh.map_err(|error| format!("{}: {error}", self.path.display()))?;
            self.ask_on(BufReader::new(fresh), &line).await
        });
        let answer = asked.await.map_err(|_| self.late())??;
        match answer {
            Answer::Error(reason) => Err(format!("it answered: {reason}")),
            answer => Ok(answer),
        }
    }

    async fn ask_on(
        &self,
        mut connection: BufReader<UnixStream>,
        line: &[u8],
    ) -> Result<Answer, String> {
        let broken = |error: std::io::Error| error.to_string();
        connection.get_mut().write_all(line).await.map_err(broken)?;
        let mut answer = Vec::new();
        let mut bounded = (&mut connection).take(LONGEST_ANSWER);
        bounded
            .read_until(b'\n', &mut answer)
            .await
            .map_err(broken)?;
        if answer.last() != Some(&b'\n') {
            return Err(closed());
        }
        let answer = serde_json::from_slice(&answer)
            .map_err(|error| format!("its answer is not understood: {error}"))?;
        self.idle.lock().push(connection);
        Ok(answer)
    }

    fn late(&self) -> String {
        format!("no answer within {:?}", self.timeout)
    }
}

fn closed() -> String {
    "it closed the connection".to_owned()
}

/// One key of a signer.
pub(super) struct ExternalKey {
    pub(super) socket: Arc<SignerSocket>,
    pub(super) name: String,
    pub(super) algorithm: Algorithm,
}

impl ExternalSigner for ExternalKey {
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        Box::pin(async move {
            let question = Question::Sign {
                key: &self.name,
                alg: self.algorithm.as_str(),
                input: URL_SAFE_NO_PAD.encode(message),
            };
            let Answer::Signature(signature) = self.socket.ask(&question).await? else {
                return Err("it answered with something else than a signature".to_owned());
            };
            let signature = URL_SAFE_NO_PAD.decode(signature);
            signature.map_err(|_| "its signature is not base64url".to_owned())
        })
    }
}

/// What is stored, sealed, in place of a private key.
pub(super) fn reference(name: &str) -> Vec<u8> {
    [REFERENCE, name.as_bytes()].concat()
}

/// The name of the key at the signer, if this is a reference and no PKCS#8, which begins with another byte.
pub(super) fn referred(opened: &[u8]) -> Option<&str> {
    std::str::from_utf8(opened.strip_prefix(REFERENCE)?).ok()
}
