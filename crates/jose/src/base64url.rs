//! Base64url of RFC 7515 section 2. Refuses padding, white space, other alphabets and non-zero trailing bits.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn append(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

/// Characters that `len` bytes become.
pub(crate) const fn encoded_len(len: usize) -> usize {
    (len * 4).div_ceil(3)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes into `buffer`; `None` too when it does not fit.
pub(crate) fn decode_into<'a>(text: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let len = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;
    buffer.get(..len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_foreign_alphabets_white_space_and_trailing_bits_are_refused() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for text in [
            "AQ==", "AQ=", "AR", "A", "+w", "/w", " AQ", "AQ\n", "A Q", "AQ\0",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_encoded_length_is_exact() {
        for len in 0..200 {
            assert_eq!(encode(&vec![0xa5; len]).len(), encoded_len(len));
        }
    }
}
