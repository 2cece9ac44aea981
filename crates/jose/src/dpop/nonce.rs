//! Nonces of a server (RFC 9449 section 8), stateless: the number of a span of time and a MAC over it. Every node with
//! the same key makes and knows the same ones, and nothing has to be remembered.

use std::fmt;

use aws_lc_rs::hmac;

use crate::base64url;

/// Seconds in a span. A nonce is good in its own span and the next one.
const SPAN: i64 = 150;
const MAC_BYTES: usize = 16;
const LABEL: &[u8] = b"DPoP nonce";

/// Makes nonces and knows its own.
pub struct NonceKey(hmac::Key);

impl NonceKey {
    /// A key from a secret that all nodes share, or a random one of a single process.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The nonce of this moment, in seconds since 1970.
    pub fn nonce(&self, now: i64) -> String {
        self.of_span(now.div_euclid(SPAN))
    }

    /// Whether a nonce was made here, 300 seconds ago at most. One of the next span counts, because the clock of
    /// another node may be ahead of ours.
    pub fn is_fresh(&self, nonce: &str, now: i64) -> bool {
        let span = now.div_euclid(SPAN);
        let made_at = base64url::decode(nonce).and_then(|bytes| {
            let (span, _) = bytes.split_first_chunk::<8>()?;
            Some(i64::from_be_bytes(*span))
        });
        made_at.is_some_and(|made_at| {
            let is_near = (span.saturating_sub(1)..=span.saturating_add(1)).contains(&made_at);
            is_near && self.is_of_span(nonce, made_at)
        })
    }

    fn of_span(&self, span: i64) -> String {
        let mac = hmac::sign(&self.0, &signed(span));
        let mut nonce = span.to_be_bytes().to_vec();
        nonce.extend_from_slice(&mac.as_ref()[..MAC_BYTES]);
        base64url::encode(&nonce)
    }

    /// A nonce proves nothing but its age and opens nothing, so the comparison need not take constant time; it does.
    fn is_of_span(&self, nonce: &str, span: i64) -> bool {
        let ours = self.of_span(span);
        aws_lc_rs::constant_time::verify_slices_are_equal(ours.as_bytes(), nonce.as_bytes()).is_ok()
    }
}

fn signed(span: i64) -> Vec<u8> {
    [LABEL, &span.to_be_bytes()].concat()
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000 * SPAN + 7;

    #[test]
    fn a_nonce_is_known_on_every_node_for_a_bounded_time() {
        let (key, other_node) = (NonceKey::new(b"shared"), NonceKey::new(b"shared"));
        let nonce = key.nonce(NOW);
        for (later, fresh) in [
            (0, true),
            (SPAN, true),
            (2 * SPAN - 8, true),
            (2 * SPAN - 7, false),
            (3 * SPAN, false),
        ] {
            assert_eq!(other_node.is_fresh(&nonce, NOW + later), fresh, "+{later}");
        }
        assert!(other_node.is_fresh(&nonce, NOW - SPAN), "a clock behind");
        assert!(!other_node.is_fresh(&nonce, NOW - 2 * SPAN));
        assert!(!NonceKey::new(b"another").is_fresh(&nonce, NOW));
        assert_eq!(format!("{key:?}"), "NonceKey");
    }

    proptest! {
        #[test]
        fn nothing_else_is_a_nonce(text in any::<String>(), at in 0usize..32, with in "[A-Za-z0-9_-]", now in any::<i64>()) {
            let key = NonceKey::new(b"shared");
            prop_assert!(!key.is_fresh(&text, NOW));
            let nonce = key.nonce(NOW);
            let mut forged = nonce.clone();
            forged.replace_range(at..=at, &with);
            prop_assert_eq!(key.is_fresh(&forged, NOW), forged == nonce);
            prop_assert!(key.is_fresh(&key.nonce(now), now));
        }
    }
}
