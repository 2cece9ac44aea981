//! Proofs of possession (RFC 9449): any header and claims, signed with one key that the header may or may not show.

use serde_json::{Value, json};
use tokensmith_jose::dpop::{self, MAX_AGE, Request};

use super::signing::{KEY, signed_by_our_key};

const NOW: i64 = 1_795_197_600;
const REQUEST: Request<'static> = Request {
    method: "POST",
    url: "https://as.example/oauth/token",
    now: NOW,
    access_token: None,
};

/// The claims, or a header, a line break and the claims. `"jwk":{}` in a header stands for the key's public half.
pub(super) fn proof(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(
            dpop::verify(text, &REQUEST).is_err(),
            "a forged proof: {text:?}"
        );
    }
    let shown = serde_json::to_string(KEY.public_jwk()).expect("a key is JSON");
    let usual = format!("{{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"jwk\":{shown}}}");
    let cut = bytes.iter().position(|byte| *byte == b'\n');
    let (header, claims) = cut.map_or((usual.clone().into_bytes(), bytes), |cut| {
        let header = String::from_utf8_lossy(&bytes[..cut])
            .replace("\"jwk\":{}", &format!("\"jwk\":{shown}"));
        (header.into_bytes(), &bytes[cut + 1..])
    });
    let proof = signed_by_our_key(&header, claims);
    let Ok(held) = dpop::verify(&proof, &REQUEST) else {
        return;
    };
    let header: Value = serde_json::from_slice(&header).expect("an accepted header is JSON");
    assert_eq!(
        (
            &header["typ"]
                .as_str()
                .map(str::to_ascii_lowercase)
                .as_deref(),
            &header["alg"]
        ),
        (&Some("dpop+jwt"), &json!("EdDSA"))
    );
    assert!(header["jwk"].get("d").is_none(), "{header}");
    assert_eq!(Some(held.key.to_string()), KEY.public_jwk().thumbprint());
    let claims: Value = serde_json::from_slice(claims).expect("accepted claims are JSON");
    assert_eq!(
        (&claims["htm"], &claims["jti"]),
        (&json!("POST"), &json!(held.jti))
    );
    assert_eq!(
        claims.get("nonce").and_then(Value::as_str),
        held.nonce.as_deref()
    );
    let age = MAX_AGE.as_secs().cast_signed();
    assert!(
        (NOW + 1..=NOW + 60 + age).contains(&held.expires_at),
        "{claims}"
    );
}
