//! A bare token endpoint: reads the form, signs claims of the usual size with a key parsed once, answers JSON.
//! No client authentication, no database, no audit, no limits, no log: nothing a real server could leave out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use clap::ValueEnum;
use serde::Serialize;

const LIFE: u64 = 900;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Signature of the tokens.
    #[arg(long, value_enum, default_value = "es256")]
    algorithm: SignatureKind,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignatureKind {
    Es256,
    Rs256,
}

impl SignatureKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

pub(crate) enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    fn generate(kind: SignatureKind) -> Result<Self> {
        Ok(match kind {
            SignatureKind::Es256 => {
                Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?)
            }
            SignatureKind::Rs256 => Self::Rsa(aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048)?),
        })
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(key) => Ok(key.sign(&random, input)?.as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

/// Signs tokens of the usual claims and size.
pub(crate) struct Mint {
    key: Key,
    header: String,
}

/// The claims of an RFC 9068 access token for a service, as the server mints them.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    client_id: &'a str,
    scope: &'a str,
    r#type: &'a str,
    aud: [&'a str; 1],
    iat: u64,
    exp: u64,
    jti: &'a str,
}

#[derive(Serialize)]
struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let router = Router::new()
        .route("/oauth/token", post(token))
        .route("/ready", get(|| async {}))
        .with_state(Arc::new(Mint::new(arguments.algorithm)?));
    super::serve(arguments.port, router)
}

async fn token(State(mint): State<Arc<Mint>>, body: Bytes) -> Json<Answer> {
    let form: HashMap<_, _> = url::form_urlencoded::parse(&body).collect();
    let field = |name| form.get(name).map_or("", AsRef::as_ref);
    let access_token = mint
        .token(field("client_id"), field("scope"))
        .unwrap_or_default();
    Json(Answer {
        access_token,
        token_type: "Bearer",
        expires_in: LIFE,
        scope: field("scope").to_owned(),
    })
}

impl Mint {
    pub(crate) fn new(kind: SignatureKind) -> Result<Self> {
        let header = format!(
            r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#,
            kind.as_str(),
            "k".repeat(43)
        );
        Ok(Self {
            key: Key::generate(kind)?,
            header: BASE64URL.encode(header) + ".",
        })
    }

    pub(crate) fn token(&self, client_id: &str, scope: &str) -> Result<String> {
        ensure!(!client_id.is_empty(), "no client_id");
        let mut random = [0; 16];
        rand::fill(&mut random)?;
        let now = wall_clock().as_secs();
        let claims = Claims {
            iss: "http://127.0.0.1:8000",
            sub: client_id,
            client_id,
            scope,
            r#type: "access",
            aud: ["https://api.activity.com"],
            iat: now,
            exp: now + LIFE,
            jti: &BASE64URL.encode(random),
        };
        let mut token = self.header.clone();
        BASE64URL.encode_string(serde_json::to_vec(&claims)?, &mut token);
        let signature = self.key.sign(token.as_bytes())?;
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Ok(token)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with no request to take the time from"
)]
fn wall_clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
