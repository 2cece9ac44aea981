//! Whether a text is printable ASCII without two characters that mean something where it goes: asked of every form
//! value, audit member and answer, so eight bytes are looked at in one step.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// Whether all bytes are between a space and `~` and none is `A` or `B`.
pub(crate) fn is_printable_without<const A: u8, const B: u8>(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let odd = |word: &[u8; 8]| oddities::<A, B>(u64::from_ne_bytes(*word));
    words
        .iter()
        .fold(odd(&last), |found, word| found | odd(word))
        == 0
}

/// Whether a JSON string holds the text as it stands.
#[must_use]
pub fn stands_in_json(text: &str) -> bool {
    is_printable_without::<b'"', b'\\'>(text.as_bytes())
}

/// Not 0 if a byte of the word is not printable ASCII, or is `A` or `B`. The lowest such byte sets its high bit; a
/// borrow may set the bit of a byte above it, never one without any such byte below.
const fn oddities<const A: u8, const B: u8>(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    (word
        | below_space
        | zero_byte(word ^ (ONES * A as u64))
        | zero_byte(word ^ (ONES * B as u64))
        | zero_byte(word ^ (ONES * 0x7f)))
        & HIGH
}

/// Has a high bit where a byte of the word is zero.
const fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_as_byte_by_byte() {
        for length in 1..20 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let expected = matches!(byte, b' '..=b'~') && byte != b'+' && byte != b'%';
                    assert_eq!(
                        is_printable_without::<b'+', b'%'>(&bytes),
                        expected,
                        "{bytes:?}"
                    );
                }
            }
        }
        assert!(stands_in_json("") && stands_in_json("eyJ.x-_ ~"));
        assert!(!stands_in_json("a\"b") && !stands_in_json("a\\b") && !stands_in_json("ü"));
    }
}
