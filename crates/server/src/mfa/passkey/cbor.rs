//! CBOR (RFC 8949) as authenticators write it (CTAP 2.1 §8): definite lengths alone, nothing after the end. Refuses
//! nesting beyond a few levels and lengths beyond the bytes there are.

const DEEPEST: usize = 4;

/// What comes next, without what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A whole number of either sign.
    Number(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A text.
    Text(&'a str),
    /// So many items follow.
    Array(u64),
    /// So many pairs of items follow.
    Map(u64),
    /// `true`, `false`, `null` and floating-point numbers: nothing we read.
    Other,
}

/// Bytes that are read from their beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Reads bytes that are no CBOR.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn item(&mut self) -> Option<Item<'a>> {
        let first = *self.take(1)?.first()?;
        let (major, short) = (first >> 5, first & 0x1f);
        let value = match short {
            0..=23 => u64::from(short),
            24..=27 => {
                let bytes = self.take(1 << (short - 24))?;
                bytes
                    .iter()
                    .fold(0, |value, &byte| (value << 8) | u64::from(byte))
            }
            _ => return None,
        };
        let number = i64::try_from(value).ok();
        match major {
            0 => number.map(Item::Number),
            1 => number.map(|number| Item::Number(-1 - number)),
            2 => self.take(usize::try_from(value).ok()?).map(Item::Bytes),
            3 => {
                let text = self.take(usize::try_from(value).ok()?)?;
                std::str::from_utf8(text).ok().map(Item::Text)
            }
            4 => Some(Item::Array(value)),
            5 => Some(Item::Map(value)),
            7 => Some(Item::Other),
            _ => None,
        }
    }

    /// How many pairs the map has that comes next.
    pub(super) fn map(&mut self) -> Option<u64> {
        match self.item()? {
            Item::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Passes over an item with all that is in it, and gives its bytes.
    pub(super) fn skip(&mut self) -> Option<&'a [u8]> {
        let before = self.0;
        self.skip_within(DEEPEST)?;
        before.get(..before.len() - self.0.len())
    }

    fn skip_within(&mut self, depth: usize) -> Option<()> {
        let inside = match self.item()? {
            Item::Array(items) => items,
            Item::Map(pairs) => pairs.checked_mul(2)?,
            _ => return Some(()),
        };
        // Each item has a byte at least, so the loop ends with the bytes.
        for _ in 0..inside {
            self.skip_within(depth.checked_sub(1)?)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn items_are_read_as_the_rfc_writes_them() {
        for (bytes, item) in [
            (&[0x17][..], Item::Number(23)),
            (&[0x19, 0x03, 0xe8], Item::Number(1000)),
            (&[0x39, 0x01, 0x00], Item::Number(-257)),
            (&[0x42, 1, 2], Item::Bytes(&[1, 2])),
            (b"\x63fmt", Item::Text("fmt")),
            (&[0x83], Item::Array(3)),
            (&[0xa5], Item::Map(5)),
            (&[0xf5], Item::Other),
        ] {
            assert_eq!(Reader::new(bytes).item(), Some(item), "{bytes:?}");
        }
        for bad in [
            &[][..],
            &[0x18],
            &[0x42, 1],
            &[0x5f],
            &[0xbf],
            &[0xc0],
            &[0x61, 0xff],
        ] {
            assert_eq!(Reader::new(bad).item(), None, "{bad:?}");
        }
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        assert!(Reader::new(&[0x81; 100]).skip().is_none());
        assert!(
            Reader::new(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255])
                .skip()
                .is_none()
        );
        let mut reader = Reader::new(&[0xa1, 0x01, 0x82, 0x01, 0x02, 0x07]);
        assert_eq!(reader.skip(), Some(&[0xa1, 0x01, 0x82, 0x01, 0x02][..]));
        assert_eq!(reader.rest(), [0x07]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Reader::new(&bytes).skip();
        }
    }
}
