//! The proofs that one process has seen, as long as they could be believed. Bounded without forgetting: when there are
//! too many, the oldest leave, and from then on nothing as old as they is believed at all.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Half of a SHA-256 digest is enough to tell proofs apart.
type Name = [u8; 16];

pub(super) struct Recent {
    capacity: usize,
    proofs: Mutex<Proofs>,
}

#[derive(Default)]
struct Proofs {
    /// By the second in which they expire.
    by_expiry: BTreeMap<u64, HashSet<Name>>,
    count: usize,
    /// What expires in this second or before is not believed: it may have been forgotten.
    floor: u64,
}

impl Recent {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            proofs: Mutex::default(),
        }
    }

    /// `None` when the proof is so old that it may have been forgotten.
    pub(super) fn is_first_use(
        &self,
        digest: &[u8; 32],
        expires_at: u64,
        now: u64,
    ) -> Option<bool> {
        let mut name = Name::default();
        name.copy_from_slice(&digest[..16]);
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs.forget_expired(now);
        if expires_at <= proofs.floor {
            return None;
        }
        let is_new = proofs.by_expiry.entry(expires_at).or_default().insert(name);
        proofs.count += usize::from(is_new);
        while proofs.count > self.capacity {
            proofs.forget_oldest();
        }
        Some(is_new)
    }
}

impl Proofs {
    fn forget_expired(&mut self, now: u64) {
        while let Some(oldest) = self
            .by_expiry
            .first_entry()
            .filter(|oldest| *oldest.key() <= now)
        {
            self.count -= oldest.remove().len();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((expires_at, names)) = self.by_expiry.pop_first() {
            self.count -= names.len();
            self.floor = expires_at;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(number: u16) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn a_proof_is_new_once_until_it_expires() {
        let recent = Recent::new(10);
        assert_eq!(recent.is_first_use(&digest(1), 100, 50), Some(true));
        assert_eq!(recent.is_first_use(&digest(1), 100, 99), Some(false));
        assert_eq!(recent.is_first_use(&digest(2), 400, 100), Some(true));
        assert_eq!(recent.proofs.lock().unwrap().count, 1, "the first has left");
    }

    #[test]
    fn past_the_bound_old_proofs_are_not_believed_and_none_is_new_twice() {
        let recent = Recent::new(3);
        for number in 0..5 {
            let expires_at = 100 + u64::from(number);
            assert_eq!(
                recent.is_first_use(&digest(number), expires_at, 0),
                Some(true)
            );
        }
        for number in 0..2 {
            assert_eq!(
                recent.is_first_use(&digest(number), 100 + u64::from(number), 0),
                None
            );
        }
        assert_eq!(recent.is_first_use(&digest(4), 104, 0), Some(false));
        assert_eq!(
            recent.is_first_use(&digest(9), 101, 0),
            None,
            "as old as what was forgotten"
        );
        assert_eq!(recent.is_first_use(&digest(9), 105, 0), Some(true));
    }

    proptest! {
        #[test]
        fn no_proof_is_new_twice_and_the_bound_holds(
            uses in prop::collection::vec((0u16..40, 0u64..20), 1..200), capacity in 1usize..20,
        ) {
            let recent = Recent::new(capacity);
            let mut taken = HashSet::new();
            for (now, (number, life)) in uses.into_iter().enumerate() {
                let (now, expires_at) = (now as u64 / 8, u64::from(number) % 7 + life);
                // A proof has one expiry; and who shows it later than that is refused before.
                if expires_at > now && recent.is_first_use(&digest(number), expires_at, now) == Some(true) {
                    prop_assert!(taken.insert((number, expires_at)));
                }
                prop_assert!(recent.proofs.lock().unwrap().count <= capacity);
            }
        }
    }
}
