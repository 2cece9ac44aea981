//! What people prove themselves with: an app that shows codes (RFC 6238), and an authenticator with one passkey
//! (WebAuthn level 3 §6), written from the specifications and not from the server.

use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokensmith_store::Timestamp;

/// An app that shows codes.
#[derive(Clone)]
pub struct AuthenticatorApp(Vec<u8>);

impl AuthenticatorApp {
    /// An app into which somebody typed this secret (RFC 4648 §6).
    pub fn typed(secret: &str) -> Self {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let value = |c| ALPHABET.find(c).expect("a letter of base32");
        let bits: String = secret
            .chars()
            .map(|c| format!("{:05b}", value(c)))
            .collect();
        let whole = bits.as_bytes().chunks_exact(8);
        let byte = |bits| {
            let bits = std::str::from_utf8(bits).expect("digits");
            u8::from_str_radix(bits, 2).expect("eight bits")
        };
        Self(whole.map(byte).collect())
    }

    /// The code it shows at this instant.
    pub fn code(&self, now: Timestamp) -> String {
        let step = now.as_seconds() / 30;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 15);
        let word: [u8; 4] = tag.as_ref()[at..at + 4].try_into().expect("four bytes");
        format!(
            "{:06}",
            (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000
        )
    }
}

/// How somebody touches an authenticator, and where. What a test makes wrong, it makes wrong here.
#[derive(Clone, Debug)]
pub struct Touch {
    /// The page's origin, as the browser writes it.
    pub origin: String,
    /// Whether the user gave a finger or a PIN.
    pub verified: bool,
    /// What the authenticator counts next.
    pub count: u32,
}

/// An authenticator with one passkey.
pub struct Passkey {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    user_handle: Vec<u8>,
    rp_id: String,
}

impl Passkey {
    /// Makes a passkey by these options, and gives what the browser sends on.
    pub fn create(options: &Value, touch: &Touch) -> (Self, Value) {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate(algorithm).expect("a key");
        let public = digest::digest(&digest::SHA256, key.public_key().as_ref());
        let passkey = Self {
            key,
            id: public.as_ref().to_vec(),
            user_handle: decoded(&options["user"]["id"]),
            rp_id: text(&options["rp"]["id"]),
        };
        let client_data = client_data("webauthn.create", options, touch);
        let response = json!({
            "clientDataJSON": encoded(&client_data),
            "attestationObject": encoded(&passkey.attestation(touch)),
            "transports": ["internal"],
        });
        let answer = passkey.answer(response);
        (passkey, answer)
    }

    /// Signs by these options.
    pub fn sign(&self, options: &Value, touch: &Touch) -> Value {
        let client_data = client_data("webauthn.get", options, touch);
        let data = self.authenticator_data(touch, 0);
        let hash = digest::digest(&digest::SHA256, &client_data);
        let message = [data.as_slice(), hash.as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &message);
        self.answer(json!({
            "clientDataJSON": encoded(&client_data),
            "authenticatorData": encoded(&data),
            "signature": encoded(signature.expect("a signature").as_ref()),
            "userHandle": encoded(&self.user_handle),
        }))
    }

    fn answer(&self, response: Value) -> Value {
        let id = encoded(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "response": response,
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
        })
    }

    fn authenticator_data(&self, touch: &Touch, more_flags: u8) -> Vec<u8> {
        let rp = digest::digest(&digest::SHA256, self.rp_id.as_bytes());
        let verified = if touch.verified { 0x04 } else { 0 };
        let flags = 0x01 | verified | more_flags;
        [rp.as_ref(), &[flags], &touch.count.to_be_bytes()].concat()
    }

    /// `{"fmt": "none", "attStmt": {}, "authData": …}`
    fn attestation(&self, touch: &Touch) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let length = u8::try_from(self.id.len()).expect("a short id");
        let data = [
            &self.authenticator_data(touch, 0x40),
            [0; 16].as_slice(),
            &[0, length],
            &self.id,
            // COSE: kty EC2, alg ES256, crv P-256, x, y.
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20],
            &point[1..33],
            &[0x22, 0x58, 0x20],
            &point[33..],
        ]
        .concat();
        let size = u8::try_from(data.len()).expect("short data");
        [
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(),
            &[size],
            &data,
        ]
        .concat()
    }
}

fn client_data(ceremony: &str, options: &Value, touch: &Touch) -> Vec<u8> {
    let data = json!({
        "type": ceremony,
        "challenge": options["challenge"],
        "origin": touch.origin,
        "crossOrigin": false,
    });
    data.to_string().into_bytes()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn decoded(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text(value)).expect("base64url")
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
