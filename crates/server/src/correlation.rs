//! `X-Correlation-ID`: taken from the request when it is 1 to 64 URL-safe characters, else made here.
//! Every log line written while a request is polled carries it, without a span per request.
//! It names a request; it is no secret and grants nothing.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header field that carries it, in requests and answers.
pub static X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

const LONGEST: usize = 64;

/// The id of one request, held in place: it is copied with every request and must not allocate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CorrelationId {
    /// Zero past the length.
    text: [u8; LONGEST],
    length: u8,
}

impl CorrelationId {
    /// The caller's id when it is a valid token and named once, else a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(&X_CORRELATION_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_token(id.as_bytes()) => Self::holding(id.as_bytes()),
            _ => Self::fresh(),
        }
    }

    /// Takes at most [`LONGEST`] bytes over.
    fn holding(id: &[u8]) -> Self {
        let mut text = [0u8; LONGEST];
        let length = id.len().min(LONGEST);
        text[..length].copy_from_slice(&id[..length]);
        Self {
            text,
            length: length as u8,
        }
    }

    /// A new id: 128 bits of a keyed hash over a counter; the key is drawn once per process.
    pub fn fresh() -> Self {
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut text = [0u8; 32];
        for (key, half) in KEYS.iter().zip(text.chunks_exact_mut(16)) {
            write_hex(key.hash_one(count), half);
        }
        Self::holding(&text)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The id as the value of a header field.
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(self.as_bytes()).expect("a token is visible ASCII")
    }

    /// The id of the request that is being polled on this thread, if any.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_token(id: &[u8]) -> bool {
    let is_url_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(is_url_safe)
}

fn write_hex(number: u64, digits: &mut [u8]) {
    for (i, digit) in digits.iter_mut().enumerate() {
        let nibble = (number >> (60 - 4 * i)) & 0xf;
        *digit = b"0123456789abcdef"[nibble as usize];
    }
}

thread_local! {
    static CURRENT: Cell<Option<CorrelationId>> = const { Cell::new(None) };
}

/// Marks the thread as working for a request until it is dropped.
#[derive(Debug)]
#[must_use = "the mark ends when this is dropped"]
pub struct Entered {
    before: Option<CorrelationId>,
}

/// Work done on this thread until the guard is dropped belongs to `id`: for threads that take over
/// work, such as hashing.
pub fn enter(id: Option<CorrelationId>) -> Entered {
    Entered {
        before: CURRENT.replace(id),
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// Runs a future as work for `id`: for tasks that a request spawns.
pub fn scope<F: Future>(id: CorrelationId, future: F) -> Scope<Pin<Box<F>>> {
    Scope {
        id,
        future: Box::pin(future),
    }
}

/// See [`scope`].
#[derive(Debug)]
pub struct Scope<F> {
    id: CorrelationId,
    future: F,
}

impl<F: Future + Unpin> Future for Scope<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = enter(Some(self.id));
        Pin::new(&mut self.future).poll(cx)
    }
}

/// Calls `read` with the id of the request at work.
pub(crate) fn with_current<T>(read: impl FnOnce(Option<&str>) -> T) -> T {
    read(CURRENT.get().as_ref().map(CorrelationId::as_str))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&[u8]]) -> CorrelationId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&X_CORRELATION_ID, HeaderValue::from_bytes(value).unwrap());
        }
        CorrelationId::of(&headers)
    }

    #[test]
    fn a_valid_id_is_kept_and_any_other_replaced() {
        for good in ["a", "req-1_2.3~4", &"x".repeat(64)] {
            assert_eq!(of(&[good.as_bytes()]).as_str(), good);
        }
        for bad in [
            &b""[..],
            b"a b",
            b"a,b",
            b"a\"b",
            b"<script>",
            b"a/b",
            b"\xff\xfe",
            &[b'x'; 65],
        ] {
            assert_eq!(of(&[bad]).as_str().len(), 32, "{bad:?}");
        }
        assert_eq!(of(&[b"one", b"two"]).as_str().len(), 32);
    }

    #[test]
    fn fresh_ids_differ() {
        let ids: HashSet<String> = (0..10_000)
            .map(|_| CorrelationId::fresh().to_string())
            .collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[tokio::test]
    async fn work_in_a_scope_belongs_to_its_id_and_nothing_else_does() {
        let id = CorrelationId::fresh();
        assert_eq!(CorrelationId::current(), None);
        let inside = scope(id, async {
            tokio::task::yield_now().await;
            CorrelationId::current()
        });
        assert_eq!(inside.await, Some(id));
        assert_eq!(CorrelationId::current(), None);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_id_is_url_safe_and_short(sent in proptest::collection::vec(0x20u8..=0x7e, 0..100)) {
            prop_assert!(is_token(of(&[&sent]).as_str().as_bytes()));
        }
    }
}
