//! Signing keys from outside: from a file, or held by the external signer. Both become successors like any other:
//! published at once, signing after the notice.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use tokensmith_jose::{Algorithm, KeyError, SigningKey};
use tokensmith_server::keys::{NewKey, SignerSocket};
use zeroize::Zeroizing;

use super::{algorithm, succeed};
use crate::data::Data;

/// No private key is larger, with what stands around it.
const LARGEST_FILE: u64 = 64 << 10;

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The algorithm; when left out, that of the key: P-256 ES256, Ed25519 EdDSA, RSA RS256
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    algorithm: Option<Algorithm>,
    /// Sign with it in 2 seconds; see `key rotate --now`
    #[arg(long)]
    now: bool,
}

impl Import {
    pub(super) async fn run(self, data: &Data) -> Result<()> {
        let shown = self.file.display();
        let size = fs::metadata(&self.file).with_context(|| format!("cannot read {shown}"))?;
        ensure!(size.len() <= LARGEST_FILE, "{shown} is larger than 64 KiB");
        let content =
            Zeroizing::new(fs::read(&self.file).with_context(|| format!("cannot read {shown}"))?);
        let key = self
            .key(&content)
            .map_err(|error| anyhow!("{shown}: {}", reason(error, &content)))?;
        refuse_a_known_key(data, key.kid()).await?;
        let algorithm = key.algorithm();
        succeed(data, algorithm, NewKey::Imported(Box::new(key)), self.now).await
    }

    fn key(&self, content: &[u8]) -> Result<SigningKey, KeyError> {
        if content.trim_ascii_start().starts_with(b"{") {
            return SigningKey::from_private_jwk(content, self.algorithm);
        }
        SigningKey::from_pem(content, self.algorithm)
    }
}

/// What a person can do about it.
fn reason(error: KeyError, content: &[u8]) -> String {
    let is_encrypted = content.windows(9).any(|window| window == b"ENCRYPTED");
    match error {
        KeyError::Malformed if is_encrypted => {
            "the key is encrypted: decrypt it first, for instance with `openssl pkey`".to_owned()
        }
        KeyError::Malformed => {
            "there is no whole private key in it that this server can sign with: \
            P-256, Ed25519 or RSA, as PEM or JWK, with a public half that belongs to it"
                .to_owned()
        }
        KeyError::Strength => "an RSA key must have 2048 to 4096 bits".to_owned(),
        KeyError::Algorithm => "the key is of another kind or curve than the algorithm needs: \
            P-256 for ES256, Ed25519 for EdDSA, RSA for RS256 and PS256"
            .to_owned(),
        error => error.to_string(),
    }
}

/// A key that was here once stays known, so that its id never means two lives.
async fn refuse_a_known_key(data: &Data, kid: &str) -> Result<()> {
    let known = data.store.signing_keys().await?;
    ensure!(
        known.iter().all(|key| key.kid != kid),
        "the key {kid} is here already, or was (`key list`)"
    );
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct External {
    /// The name of the key at the signer
    key: String,
    /// Its algorithm
    #[arg(long, value_name = "ALG", value_parser = algorithm, default_value = "ES256")]
    algorithm: Algorithm,
    /// Sign with it in 2 seconds; see `key rotate --now`
    #[arg(long)]
    now: bool,
}

impl External {
    pub(super) async fn run(self, data: &Data) -> Result<()> {
        let Some(socket) = SignerSocket::new(&data.config.external_signer) else {
            bail!("name the signer's socket first: `external_signer.socket`");
        };
        let name = self.key;
        let is_plain = name.len() <= 255 && name.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        ensure!(
            is_plain && !name.is_empty(),
            "the name must be 1 to 255 printable characters"
        );
        let public = socket.public_key(&name, self.algorithm).await;
        let public = public.map_err(|reason| anyhow!("the external signer: {reason}"))?;
        refuse_a_known_key(data, public.kid.as_deref().unwrap_or_default()).await?;
        let key = NewKey::External {
            name,
            public: Box::new(public),
        };
        succeed(data, self.algorithm, key, self.now).await
    }
}
