//! Randomness: identifiers and secrets. Comes from the cryptographic library's generator, or from a seed in tests.

use std::{cell::RefCell, sync::Arc};

use aws_lc_rs::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use tokensmith_oauth2::Secret;
use tokensmith_store::Timestamp;
use uuid::Uuid;
use zeroize::Zeroize;

/// A source of random bytes. Cheap to clone.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System(SystemRandom),
    /// A counter hashed with a seed: the same tests draw the same values. Never built outside tests.
    Seeded(Arc<Mutex<(u64, u64)>>),
}

impl Default for Entropy {
    fn default() -> Self {
        Self(Source::System(SystemRandom::new()))
    }
}

impl Entropy {
    /// Predictable bytes, for tests alone.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new((seed, 0)))))
    }

    /// Random bytes.
    ///
    /// # Panics
    /// If the operating system gives no randomness: nothing the server does would be safe then.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System(random) => POOL.with_borrow_mut(|pool| pool.fill(random, &mut bytes)),
            Source::Seeded(state) => fill_seeded(&mut state.lock(), &mut bytes),
        }
        bytes
    }

    /// A UUIDv7 of this instant (RFC 9562 §5.7).
    pub fn uuid(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// 128 random bits as 22 URL-safe characters, for instance a `jti`.
    pub fn identifier(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<16>())
    }

    /// 256 random bits as 43 URL-safe characters.
    pub fn secret(&self) -> Secret {
        Secret::from(URL_SAFE_NO_PAD.encode(self.bytes::<32>()))
    }
}

/// Random bytes drawn ahead, for one thread. The generator takes as long for sixteen bytes as for a few hundred, since
/// at every call it mixes in fresh bytes of the processor's.
struct Pool {
    bytes: [u8; POOL_LEN],
    /// Where those begin that were not given out yet. What was given out is cleared.
    next: usize,
}

const POOL_LEN: usize = 512;

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool { bytes: [0; POOL_LEN], next: POOL_LEN })
    };
}

impl Pool {
    fn fill(&mut self, random: &SystemRandom, bytes: &mut [u8]) {
        if bytes.len() > POOL_LEN {
            return draw(random, bytes);
        }
        if POOL_LEN - self.next < bytes.len() {
            draw(random, &mut self.bytes);
            self.next = 0;
        }
        let drawn = &mut self.bytes[self.next..self.next + bytes.len()];
        bytes.copy_from_slice(drawn);
        drawn.zeroize();
        self.next += bytes.len();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

fn draw(random: &SystemRandom, bytes: &mut [u8]) {
    random
        .fill(bytes)
        .expect("the operating system gives random bytes");
}

fn fill_seeded(state: &mut (u64, u64), bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
        state.1 += 1;
        let block = [state.0.to_be_bytes(), state.1.to_be_bytes()].concat();
        chunk.copy_from_slice(&digest::digest(&digest::SHA256, &block).as_ref()[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_values_again_and_no_value_twice() {
        let (one, two) = (Entropy::seeded(7), Entropy::seeded(7));
        let first = one.identifier();
        assert_eq!(first, two.identifier());
        assert_ne!(first, one.identifier());
    }

    #[test]
    fn no_random_bytes_are_given_out_twice_and_none_are_left_zero() {
        let entropy = Entropy::default();
        let drawn: std::collections::HashSet<[u8; 24]> =
            (0..1000).map(|_| entropy.bytes()).collect();
        assert_eq!(drawn.len(), 1000);
        let large: [u8; POOL_LEN + 88] = entropy.bytes();
        assert!(large.chunks(24).all(|part| part != [0; 24]));
        assert!(drawn.iter().all(|part| *part != [0; 24]));
    }

    #[test]
    fn a_uuid_is_of_version_7_and_holds_the_instant() {
        let now = Timestamp::from_millis(1_795_000_000_123);
        let id = Entropy::default().uuid(now);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(
            id.get_timestamp().map(|at| at.to_unix().0),
            Some(1_795_000_000)
        );
    }
}
