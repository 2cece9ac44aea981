//! When to renew, when to try again: pure arithmetic on durations, so that it can be proved.
//! It never yields a pause of zero: neither an odd lifetime nor an odd answer makes a busy loop.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Assumed when `expires_in` is missing (RFC 6749 §5.1 recommends it, so it may be).
pub(crate) const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// No lifetime is believed beyond this; it also keeps clock arithmetic from overflowing.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// A token younger than this that is refused points at the resource server, not at the token.
pub(crate) const YOUNG: Duration = Duration::from_secs(10);
/// So many young tokens may be refused in a row before fetching the next is slowed down.
pub(crate) const FREE_REJECTIONS: u32 = 3;

const MIN_RENEWAL: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const FIRST_PAUSE_REFUSED: Duration = Duration::from_secs(4);
const MAX_PAUSE: Duration = Duration::from_secs(60);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// How long after its request a token is renewed: 80 % of its life, at least a second, at most its life.
pub(crate) fn renew_after(lifetime: Duration) -> Duration {
    (lifetime * 4 / 5).max(MIN_RENEWAL).min(lifetime)
}

/// How a failure bears on the pause after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may pass by itself; the server may have said when.
    Passing { retry_after: Option<Duration> },
    /// The client was refused. Asking often only locks it out.
    Refused,
}

/// The pause after the `failures`-th failure in a row: doubling, between half and all of it by `jitter` in 0..=1.
pub(crate) fn pause(failure: Failure, failures: u32, jitter: f64) -> Duration {
    let (first, told) = match failure {
        Failure::Passing { retry_after } => (FIRST_PAUSE, retry_after.unwrap_or_default()),
        Failure::Refused => (FIRST_PAUSE_REFUSED, Duration::ZERO),
    };
    let doubled = first
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(MAX_PAUSE);
    doubled
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
        .max(told.min(MAX_RETRY_AFTER))
}

/// A number in 0..=1 to keep many processes out of step. The hasher keys of the standard library are random
/// per thread and differ at each call; nothing secret hangs on it, so no random number crate is needed.
pub(crate) fn jitter() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSING: Failure = Failure::Passing { retry_after: None };

    #[test]
    fn a_token_is_renewed_at_80_percent_of_its_life() {
        assert_eq!(
            renew_after(Duration::from_secs(900)),
            Duration::from_secs(720)
        );
        assert_eq!(renew_after(Duration::from_secs(10)), Duration::from_secs(8));
        assert_eq!(renew_after(Duration::from_secs(1)), Duration::from_secs(1));
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<_> = [1, 2, 3, 4, 20]
            .map(|n| pause(PASSING, n, 1.0).as_millis())
            .into();
        assert_eq!(pauses, [250, 500, 1000, 2000, 60_000]);
        assert_eq!(pause(PASSING, 1, 0.0), Duration::from_millis(125));
        assert_eq!(pause(Failure::Refused, 1, 1.0), Duration::from_secs(4));
    }

    #[test]
    fn retry_after_is_honoured_up_to_five_minutes() {
        let told = |secs| Failure::Passing {
            retry_after: Some(Duration::from_secs(secs)),
        };
        assert_eq!(pause(told(7), 1, 0.5), Duration::from_secs(7));
        assert_eq!(pause(told(86_400), 1, 0.5), Duration::from_secs(300));
        assert!(pause(told(0), 1, 0.0) > Duration::ZERO);
    }

    #[test]
    fn jitter_differs_from_call_to_call() {
        let first = jitter();
        assert!((0..20).any(|_| jitter().to_bits() != first.to_bits()));
    }

    proptest! {
        #[test]
        fn no_pause_is_zero_or_endless(failures in any::<u32>(), jitter in any::<f64>(), told in proptest::option::of(any::<u32>())) {
            let jitter = if jitter.is_nan() { 0.0 } else { jitter };
            let retry_after = told.map(|secs| Duration::from_secs(secs.into()));
            for failure in [Failure::Passing { retry_after }, Failure::Refused] {
                let pause = pause(failure, failures, jitter);
                prop_assert!(pause >= Duration::from_millis(125) && pause <= MAX_RETRY_AFTER);
            }
        }

        #[test]
        fn renewal_is_within_the_life_and_never_at_once(millis in 1_000_u64..100_000_000) {
            let lifetime = Duration::from_millis(millis);
            prop_assert!(renew_after(lifetime) >= Duration::from_secs(1) && renew_after(lifetime) <= lifetime);
        }
    }
}
