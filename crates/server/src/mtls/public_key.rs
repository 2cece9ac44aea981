//! The public key of a certificate as a JWK (RFC 7518 §6, RFC 8037 §2), to compare it with a registered one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokensmith_jose::Jwk;
use x509_cert::{
    Certificate,
    der::{Decode, Reader, SliceReader, asn1::UintRef, oid::ObjectIdentifier},
};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Curves of RFC 5480 §2.1.1.1 with their JWK names and the length of a coordinate.
const CURVES: [(ObjectIdentifier, &str, usize); 3] = [
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        "P-256",
        32,
    ),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "P-384", 48),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "P-521", 66),
];

/// The members that make the key; `None` for a kind that no JWK of ours has.
pub(super) fn jwk(certificate: &Certificate) -> Option<Jwk> {
    let public = certificate.tbs_certificate().subject_public_key_info();
    let bits = public.subject_public_key.as_bytes()?;
    match public.algorithm.oid {
        EC => {
            let curve: ObjectIdentifier = public.algorithm.parameters.as_ref()?.decode_as().ok()?;
            ec(curve, bits)
        }
        RSA => rsa(bits),
        ED25519 => Some(Jwk {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(bits)),
            ..Jwk::default()
        }),
        _ => None,
    }
}

/// An uncompressed point (RFC 5480 §2.2): 4, then both coordinates.
fn ec(curve: ObjectIdentifier, bits: &[u8]) -> Option<Jwk> {
    let (_, name, length) = CURVES.into_iter().find(|(known, ..)| *known == curve)?;
    let (&4, point) = bits.split_first()? else {
        return None;
    };
    if point.len() != 2 * length {
        return None;
    }
    let (x, y) = point.split_at(length);
    Some(Jwk {
        kty: "EC".to_owned(),
        crv: Some(name.to_owned()),
        x: Some(URL_SAFE_NO_PAD.encode(x)),
        y: Some(URL_SAFE_NO_PAD.encode(y)),
        ..Jwk::default()
    })
}

/// RSAPublicKey of RFC 8017 appendix A.1.1.
fn rsa(bits: &[u8]) -> Option<Jwk> {
    let mut reader = SliceReader::new(bits).ok()?;
    let numbers = reader.sequence(|inner| {
        Ok::<_, x509_cert::der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?))
    });
    let (modulus, exponent) = numbers.ok()?;
    Some(Jwk {
        kty: "RSA".to_owned(),
        n: Some(URL_SAFE_NO_PAD.encode(modulus.as_bytes())),
        e: Some(URL_SAFE_NO_PAD.encode(exponent.as_bytes())),
        ..Jwk::default()
    })
}
