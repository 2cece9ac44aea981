//! What a client registers beyond its record: from a file of RFC 7591 members, and its public keys by value, by
//! address, or made on the spot. Refuses private keys where public ones belong.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_server::{
    assertion::{Keys, UnusableKeys, algorithm_for_assertions},
    fetch::Policy,
};
use tokensmith_store::{AuthMethod, ClientMetadata};
use zeroize::Zeroizing;

use crate::data::Data;

#[derive(Debug, Args)]
pub(super) struct MetadataOptions {
    /// A JSON file of further metadata, its members named as in RFC 7591: jwks with the client's public keys, and so on
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// A JSON file with its public keys, a JWK set
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_uri", "new_key"])]
    jwks: Option<PathBuf>,
    /// Where it serves its public keys, a JWK set; https and public unless a setting allows more
    #[arg(long, value_name = "URL", conflicts_with = "new_key")]
    jwks_uri: Option<String>,
    /// Make a key pair, register the public half, and write the private one as PEM into this new file
    #[arg(long, value_name = "FILE")]
    new_key: Option<PathBuf>,
}

impl MetadataOptions {
    /// What is registered for a client of this method.
    pub(super) fn read(&self, data: &Data, method: AuthMethod) -> Result<ClientMetadata> {
        let mut metadata = match &self.metadata {
            Some(path) => read_json(path)?,
            None => ClientMetadata::default(),
        };
        if let Some(path) = &self.jwks {
            metadata.jwks = Some(read_json(path)?);
        }
        if let Some(url) = &self.jwks_uri {
            metadata.jwks_uri = Some(url.clone());
        }
        if let Some(path) = &self.new_key {
            metadata.jwks = Some(make_key(path)?);
        }
        let algorithm = metadata.token_endpoint_auth_signing_alg.as_deref();
        let algorithm = algorithm.map(algorithm_for_assertions).transpose()?;
        let jwks_uri = metadata.jwks_uri.as_deref();
        if let Some(url) = jwks_uri {
            let checked = Policy::new(&data.config.fetch).check(url);
            checked.map_err(|error| anyhow!("jwks_uri {url:?}: {error}"))?;
        }
        let keys = match Keys::of(metadata.jwks.as_ref(), jwks_uri, algorithm) {
            // The keys of certificates may be of more kinds than those of assertions.
            Err(UnusableKeys::Empty) if method != AuthMethod::PrivateKeyJwt => Keys::Absent,
            keys => keys?,
        };
        ensure!(
            method != AuthMethod::PrivateKeyJwt || !matches!(keys, Keys::Absent),
            "private_key_jwt needs the client's public keys: --jwks, --jwks-uri or --new-key"
        );
        Ok(metadata)
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// The public half of a new key, after the private one was written. A file that is there is never written over.
fn make_key(path: &Path) -> Result<serde_json::Value> {
    let key = SigningKey::generate(Algorithm::Es256)?;
    let encoded = Zeroizing::new(STANDARD.encode(&*key.to_pkcs8()?));
    let mut pem = Zeroizing::new("-----BEGIN PRIVATE KEY-----\n".to_owned());
    for start in (0..encoded.len()).step_by(64) {
        pem.push_str(&encoded[start..encoded.len().min(start + 64)]);
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    let mut file = File::create_new(path).with_context(|| format!("making {}", path.display()))?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    println!("the private key is in {}", path.display());
    Ok(json!({ "keys": [key.public_jwk()] }))
}
