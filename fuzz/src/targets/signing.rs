//! One key for every target, and the compact form written once more, so that a fault of ours shows.

use std::sync::LazyLock;

use tokensmith_jose::{Algorithm, SigningKey};

/// An Ed25519 key in PKCS#8 (RFC 8410), made for these targets: its signatures are the same each time.
const PKCS8: &str = "302e020100300506032b657004220420e14eebc880622629a5d2b310207c279a9ec4705a2c86c92ab2ebbefe33ae597d";

pub(super) static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let byte = |at: usize| u8::from_str_radix(&PKCS8[at..at + 2], 16).expect("hexadecimal");
    let pkcs8: Vec<u8> = (0..PKCS8.len()).step_by(2).map(byte).collect();
    SigningKey::from_pkcs8(Algorithm::EdDsa, &pkcs8).expect("a key")
});

/// The compact form of RFC 7515 around these bytes, whatever they are.
pub(super) fn signed_by_our_key(header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let signature = KEY.sign(signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", base64url(&signature))
}

/// The alphabet of RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for letter in 0..=chunk.len() {
            let index = bits >> (18 - 6 * letter) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}
