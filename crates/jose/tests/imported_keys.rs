//! Private keys from files as OpenSSL writes them and as JWK: what is taken, and what is refused.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::{fs, path::Path};

use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, KeyError, SigningKey};

fn file(name: &str) -> Vec<u8> {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
    fs::read(keys.join(name)).unwrap()
}

fn pem(name: &str, algorithm: Option<Algorithm>) -> Result<SigningKey, KeyError> {
    SigningKey::from_pem(&file(name), algorithm)
}

fn jwk(name: &str) -> Value {
    serde_json::from_slice(&file(name)).unwrap()
}

fn from_jwk(jwk: &Value, algorithm: Option<Algorithm>) -> Result<SigningKey, KeyError> {
    SigningKey::from_private_jwk(jwk.to_string().as_bytes(), algorithm)
}

#[test]
fn every_form_of_a_key_gives_the_same_key() {
    let same = [
        (
            &["ec_sec1.pem", "ec_pkcs8.pem"][..],
            "ec.jwk.json",
            Algorithm::Es256,
        ),
        (
            &["rsa_pkcs1.pem", "rsa_pkcs8.pem"],
            "rsa.jwk.json",
            Algorithm::Rs256,
        ),
        (&["ed25519_pkcs8.pem"], "ed25519.jwk.json", Algorithm::EdDsa),
    ];
    for (pems, json, algorithm) in same {
        let from_json = from_jwk(&jwk(json), None).unwrap();
        for name in pems {
            let key = pem(name, None).unwrap();
            assert_eq!(key.algorithm(), algorithm, "{name}");
            assert_eq!(key.kid(), from_json.kid(), "{name}");
            let again = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
            assert_eq!(again.kid(), key.kid(), "{name}");
        }
    }
}

#[test]
fn an_rsa_key_serves_the_algorithm_that_is_named() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        let key = pem("rsa_pkcs8.pem", Some(algorithm)).unwrap();
        assert_eq!(key.public_jwk().alg.as_deref(), Some(algorithm.as_str()));
    }
    let named = jwk("rsa.jwk.json");
    assert_eq!(
        from_jwk(&named, None).unwrap().algorithm(),
        Algorithm::Ps256
    );
    let other = from_jwk(&named, Some(Algorithm::Rs256));
    assert_eq!(other.unwrap_err(), KeyError::Algorithm);
}

#[test]
fn weak_keys_other_curves_and_halves_that_do_not_belong_together_are_refused() {
    for (name, error) in [
        ("rsa1024_pkcs1.pem", KeyError::Strength),
        ("rsa1024_pkcs8.pem", KeyError::Strength),
        ("ec_sec1_mismatched.pem", KeyError::Malformed),
        ("ec_pkcs8_mismatched.pem", KeyError::Malformed),
        ("rsa_pkcs1_mismatched.pem", KeyError::Malformed),
        ("ec_encrypted.pem", KeyError::Malformed),
        ("ec_public.pem", KeyError::Malformed),
    ] {
        assert_eq!(pem(name, None).unwrap_err(), error, "{name}");
    }
    for name in ["p384_sec1.pem", "p384_pkcs8.pem", "k256_pkcs8.pem"] {
        assert!(pem(name, None).is_err(), "{name}");
        assert!(pem(name, Some(Algorithm::Es256)).is_err(), "{name}");
    }
    for (name, algorithm) in [
        ("ec_pkcs8.pem", Algorithm::Rs256),
        ("ec_pkcs8.pem", Algorithm::EdDsa),
        ("rsa_pkcs8.pem", Algorithm::Es256),
        ("ed25519_pkcs8.pem", Algorithm::Es256),
        ("ec_pkcs8.pem", Algorithm::Hs256),
    ] {
        assert_eq!(
            pem(name, Some(algorithm)).unwrap_err(),
            KeyError::Algorithm,
            "{name}"
        );
    }
    for text in [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "nonsense",
    ] {
        assert_eq!(
            SigningKey::from_pem(text.as_bytes(), None).unwrap_err(),
            KeyError::Malformed
        );
    }
}

#[test]
fn a_jwk_must_be_whole_for_signatures_and_consistent() {
    let ec = jwk("ec.jwk.json");
    let with = |of: &Value, name: &str, value: Value| {
        let mut changed = of.clone();
        changed[name] = value;
        from_jwk(&changed, None).map(|key| key.kid().to_owned())
    };
    assert!(with(&ec, "key_ops", json!(["sign"])).is_ok());
    for (name, value, error) in [
        ("use", json!("enc"), KeyError::Use),
        ("key_ops", json!(["verify"]), KeyError::Use),
        ("crv", json!("P-384"), KeyError::Algorithm),
        ("crv", json!("secp256k1"), KeyError::Algorithm),
        ("kty", json!("oct"), KeyError::Algorithm),
        ("alg", json!("ES384"), KeyError::Algorithm),
        ("alg", json!("none"), KeyError::Algorithm),
        ("alg", json!("HS256"), KeyError::Algorithm),
        ("d", json!("AA"), KeyError::Malformed),
        ("d", json!(1), KeyError::Malformed),
        ("x", ec["y"].clone(), KeyError::Malformed),
    ] {
        assert_eq!(
            with(&ec, name, value.clone()),
            Err(error),
            "{name} = {value}"
        );
    }
    let ed = jwk("ed25519.jwk.json");
    assert!(with(&ed, "x", ed["d"].clone()).is_err());
    let rsa = jwk("rsa.jwk.json");
    for name in ["d", "p", "q", "dp", "dq", "qi", "n", "e"] {
        assert!(with(&rsa, name, Value::Null).is_err(), "{name} absent");
        assert!(
            with(&rsa, name, rsa["p"].clone()).is_err() || name == "p",
            "{name} of another"
        );
    }
    let twice = br#"{"kty":"EC","kty":"EC"}"#;
    assert!(SigningKey::from_private_jwk(twice, None).is_err());
}
