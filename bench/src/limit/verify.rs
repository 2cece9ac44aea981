//! The bare check of an ES256 signature: one call of the library with the key parsed once. No base64, no JSON, no claims.

use std::time::{Duration, Instant};

use anyhow::Result;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};

/// Nanoseconds a call of `check`, the median of `rounds` rounds of `calls`.
pub(crate) fn nanoseconds_a_call(
    rounds: usize,
    calls: u32,
    mut check: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        for _ in 0..calls {
            check()?;
        }
        times.push(started.elapsed() / calls);
    }
    times.sort_unstable();
    Ok(times.get(rounds / 2).map_or(0.0, Duration::as_secs_f64) * 1e9)
}

/// The bare check, ready to call.
pub(crate) fn bare(public_point: &[u8]) -> Result<impl Fn(&[u8], &[u8]) -> Result<()>> {
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_point)?;
    Ok(move |input: &[u8], signature: &[u8]| Ok(key.verify_sig(input, signature)?))
}
