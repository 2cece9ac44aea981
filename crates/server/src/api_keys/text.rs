//! The text of an API key: `tsk_`, 16 hexadecimal digits that name it, `_`, 64 that are its secret, and 8 of a checksum
//! (CRC-32 of all before). A scanner finds leaked keys by the form and tells them from look-alikes by the checksum.

use tokensmith_oauth2::Secret;

use crate::entropy::Entropy;

const PREFIX: &str = "tsk_";
const ID: usize = 16;
const SECRET: usize = 64;
const SUM: usize = 8;

/// A key as it was shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Names the key.
    pub id: &'a str,
    /// SHA-256 of its secret.
    pub digest: Vec<u8>,
}

/// Whether a text begins like a key, and therefore is none of our tokens.
pub fn looks_like_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Makes a key: its id, the digest to keep, and the text to show once.
pub fn make(entropy: &Entropy) -> (String, Vec<u8>, Secret) {
    let (id, secret) = (hex(&entropy.bytes::<8>()), hex(&entropy.bytes::<32>()));
    let body = format!("{PREFIX}{id}_{secret}");
    let sum = checksum(body.as_bytes());
    let text = Secret::from(format!("{body}{sum:08x}"));
    (id, digest(&secret), text)
}

/// Reads a key; `None` when it has not the form or its checksum is wrong, which costs nobody a look-up.
pub fn read(text: &str) -> Option<Presented<'_>> {
    let rest = text.strip_prefix(PREFIX)?;
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (id, rest) = rest.split_once('_')?;
    if id.len() != ID || rest.len() != SECRET + SUM || !is_hex(id) || !is_hex(rest) {
        return None;
    }
    let (body, sum) = text.split_at(text.len() - SUM);
    let expected = u32::from_str_radix(sum, 16).ok()?;
    (checksum(body.as_bytes()) == expected).then(|| Presented {
        id,
        digest: digest(&rest[..SECRET]),
    })
}

fn digest(secret: &str) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    digest.as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// CRC-32 as in ISO 3309.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1));
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), step)
    });
    !sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_key_reads_as_it_was_made_and_no_changed_one_does() {
        let (id, digest, text) = make(&Entropy::seeded(1));
        let text = text.expose();
        let read_back = read(text).expect("a key");
        assert_eq!((read_back.id, &read_back.digest), (id.as_str(), &digest));
        for place in 0..text.len() {
            let mut changed = text.to_owned().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(read(&changed), None, "{place}");
        }
        assert_eq!(read(&text.to_uppercase()), None);
        assert_eq!(read(&format!("{text}\n")), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(tsk_)?\\PC{0,100}") {
            let _ = read(&text);
        }
    }
}
