//! Making tokens that look like ours: with the server's own key where a row says "correctly signed", else without.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_server::config::Config;
use tokensmith_testkit::{Answer, TestServer, User};

use super::audited;
use crate::claims_of;

/// Where the forged tokens are shown.
const PATH: &str = "/api/auth/organizations";

/// A server, somebody with a good token, and the key it was signed with.
pub(super) struct Forge {
    pub(super) server: TestServer,
    pub(super) alice: User,
    pub(super) key: Arc<SigningKey>,
}

impl Forge {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::start_with(change).await;
        let alice = server.user("alice").await;
        alice.creates_organization("Activity").await;
        let key = Arc::new(signing_key(&server).await);
        let forge = Self { server, alice, key };
        // Rows are only worth something when the unchanged token is good, and when one signed here is.
        forge.accepts(&forge.alice.access_token).await;
        forge
            .accepts(&forge.signed(&forge.header(), &forge.claims()))
            .await;
        forge
    }

    /// The header of an access token.
    pub(super) fn header(&self) -> Value {
        json!({"alg": self.key.algorithm().as_str(), "typ": "at+jwt", "kid": self.key.kid()})
    }

    /// Alice's claims.
    pub(super) fn claims(&self) -> Value {
        claims_of(&self.alice.access_token)
    }

    /// With one member of the header changed.
    pub(super) fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header();
        header[name] = value;
        self.signed(&header, &self.claims())
    }

    /// With one claim changed, correctly signed.
    pub(super) fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[name] = value;
        self.signed(&self.header(), &claims)
    }

    /// Without one claim, correctly signed.
    pub(super) fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name);
        self.signed(&self.header(), &claims)
    }

    pub(super) fn signed(&self, header: &Value, claims: &Value) -> String {
        signed_text(&self.key, &header.to_string(), &claims.to_string())
    }

    pub(super) async fn shows(&self, token: &str) -> Answer {
        let anonymous = self.server.anonymous();
        let request = anonymous.request(Method::GET, PATH).bearer_auth(token);
        anonymous.send(request).await
    }

    pub(super) async fn accepts(&self, token: &str) {
        let answer = self.shows(token).await.expect(200);
        assert!(answer.body.contains("Activity"), "{}", answer.body);
    }

    /// 401 `invalid_token`, nothing shown, and one audit line more.
    pub(super) async fn refuses(&self, token: &str) {
        let before = audited(&self.server, "token_invalid").await.len();
        let answer = self.shows(token).await;
        assert_eq!(answer.status, 401, "{token}: {}", answer.body);
        let answer = answer.expect_problem(401);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{challenge}"
        );
        assert!(!answer.body.contains("Activity"));
        let lines = audited(&self.server, "token_invalid").await;
        assert_eq!(lines.len(), before + 1, "{token}");
        let last = lines.last().unwrap();
        for member in ["at", "ip", "outcome", "correlation_id"] {
            assert!(last[member].is_string(), "{member} in {last}");
        }
        assert_eq!(
            Some(last["correlation_id"].as_str().unwrap()),
            answer.header("x-correlation-id")
        );
        assert!(!last.to_string().contains(token));
    }
}

/// The newest private key of the server, opened as the server opens it.
pub(super) async fn signing_key(server: &TestServer) -> SigningKey {
    let records = server.app().store().signing_keys().await.unwrap();
    let record = records.last().unwrap();
    let sealed = record.sealed_private.as_ref().unwrap();
    let aad = format!("signing key {}", record.kid);
    let pkcs8 = server
        .app()
        .keys()
        .sealing()
        .open(sealed, aad.as_bytes())
        .unwrap();
    let algorithm = Algorithm::from_name(&record.algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap()
}

/// Header and payload exactly as written, signed.
pub(super) fn signed_text(key: &SigningKey, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", b64(signature))
}

/// Header and payload under a shared secret (HS256).
pub(super) fn mac(secret: &[u8], header: &Value, payload: &Value) -> String {
    let signed = format!("{}.{}", b64(header.to_string()), b64(payload.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{signed}.{}", b64(hmac::sign(&key, signed.as_bytes())))
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A public key in every encoding a careless verifier might take for a shared secret.
pub(super) fn public_key_encodings(key: &SigningKey) -> Vec<Vec<u8>> {
    let jwk = key.public_jwk();
    let part = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref().unwrap()).unwrap();
    let jwk_json = serde_json::to_vec(jwk).unwrap();
    if jwk.kty == "EC" {
        let point = [&[4][..], &part(&jwk.x), &part(&jwk.y)].concat();
        let ec_p256 = [
            0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
            0x3d, 3, 1, 7,
        ];
        let spki = der(
            0x30,
            &[&ec_p256[..], &der(3, &[&[0], point.as_slice()].concat())].concat(),
        );
        let pem_text = pem("PUBLIC KEY", &spki);
        let trimmed = pem_text.trim_end().as_bytes().to_vec();
        return vec![pem_text.into_bytes(), trimmed, spki, point, jwk_json];
    }
    let pkcs1 = der(
        0x30,
        &[der_integer(&part(&jwk.n)), der_integer(&part(&jwk.e))].concat(),
    );
    let rsa = [
        0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0,
    ];
    let spki = der(
        0x30,
        &[&rsa[..], &der(3, &[&[0], pkcs1.as_slice()].concat())].concat(),
    );
    let pem_text = pem("PUBLIC KEY", &spki);
    vec![
        pem_text.clone().into_bytes(),
        pem("RSA PUBLIC KEY", &pkcs1).into_bytes(),
        pem_text.trim_end().as_bytes().to_vec(),
        format!(" \n{pem_text}").into_bytes(),
        spki,
        jwk_json,
    ]
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn der_integer(magnitude: &[u8]) -> Vec<u8> {
    let pad: &[u8] = if magnitude[0] & 0x80 == 0 { &[] } else { &[0] };
    der(2, &[pad, magnitude].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..128 => bytes.push(length as u8),
        128..256 => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend_from_slice(content);
    bytes
}
