//! Public keys of passkeys: COSE keys (RFC 9052 §7, RFC 9053) for ES256, EdDSA over Ed25519, and RS256. Every other
//! kind, and a key whose parts do not fit its kind, is refused.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::cbor::{Item, Reader};

/// What is offered to authenticators, the best first (COSE algorithm numbers).
pub(super) const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;
const P256: i64 = 1;
const CURVE_25519: i64 = 6;

/// A key that can check signatures.
#[derive(Debug)]
pub(super) enum PublicKey<'a> {
    Es256([u8; 65]),
    Ed25519(&'a [u8]),
    Rs256 { n: &'a [u8], e: &'a [u8] },
}

/// The parts of a COSE key that any of the three kinds has.
#[derive(Default)]
struct Parts<'a> {
    kind: Option<i64>,
    algorithm: Option<i64>,
    first: Option<Item<'a>>,
    second: Option<&'a [u8]>,
    third: Option<&'a [u8]>,
}

impl<'a> PublicKey<'a> {
    /// Reads a COSE key that is all of these bytes.
    pub(super) fn read(cose: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(cose);
        let parts = Parts::read(&mut reader)?;
        (reader.rest().is_empty()).then(|| parts.key()).flatten()
    }

    /// Whether this is its signature.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(message, signature)
                .is_ok(),
            Self::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point)
                .verify(message, signature)
                .is_ok(),
            Self::Rs256 { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

impl<'a> Parts<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut parts = Self::default();
        for _ in 0..reader.map()? {
            let Item::Number(label) = reader.item()? else {
                return None;
            };
            match (label, reader.item()?) {
                (1, Item::Number(kind)) => set(&mut parts.kind, kind)?,
                (3, Item::Number(algorithm)) => set(&mut parts.algorithm, algorithm)?,
                (-1, item @ (Item::Number(_) | Item::Bytes(_))) => set(&mut parts.first, item)?,
                (-2, Item::Bytes(bytes)) => set(&mut parts.second, bytes)?,
                (-3, Item::Bytes(bytes)) => set(&mut parts.third, bytes)?,
                _ => return None,
            }
        }
        Some(parts)
    }

    fn key(self) -> Option<PublicKey<'a>> {
        match (self.kind?, self.algorithm?, self.first?, self.second?) {
            (2, ES256, Item::Number(P256), x) => {
                let y = self.third?;
                let mut point = [4; 65];
                (x.len() == 32 && y.len() == 32).then_some(())?;
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                Some(PublicKey::Es256(point))
            }
            (1, EDDSA, Item::Number(CURVE_25519), x) if x.len() == 32 && self.third.is_none() => {
                Some(PublicKey::Ed25519(x))
            }
            (3, RS256, Item::Bytes(n), e) if self.third.is_none() => {
                Some(PublicKey::Rs256 { n, e })
            }
            _ => None,
        }
    }
}

/// A label stands once.
fn set<T>(part: &mut Option<T>, value: T) -> Option<()> {
    part.replace(value).is_none().then_some(())
}
