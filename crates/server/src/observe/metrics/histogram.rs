//! A histogram of seconds with fixed buckets: recording is a search over 16 bounds and two adds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::HistogramFn;

/// Upper bounds in nanoseconds; figures promised in milliseconds need fine steps below ten.
const BOUNDS: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// How long something took, counted in buckets.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Latency {
    /// Counts one observation.
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Upper bounds in seconds, each with the number of observations up to it; the last is infinite.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS.into_iter().map(seconds).chain([f64::INFINITY]);
        bounds.zip(&self.buckets).scan(0, |total, (bound, count)| {
            *total += count.load(Ordering::Relaxed);
            Some((bound, *total))
        })
    }

    pub(super) fn sum(&self) -> f64 {
        seconds(self.sum_nanos.load(Ordering::Relaxed))
    }
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

impl HistogramFn for Latency {
    fn record(&self, seconds: f64) {
        self.observe(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_counts_in_its_bucket_and_all_above() {
        let latency = Latency::default();
        for millis in [1, 3, 20_000] {
            latency.observe(Duration::from_millis(millis));
        }
        let counts: Vec<(f64, u64)> = latency.cumulative().collect();
        let at = |bound: f64| counts.iter().find(|(b, _)| *b == bound).unwrap().1;
        assert_eq!(
            (
                at(0.0005),
                at(0.001),
                at(0.005),
                at(10.0),
                at(f64::INFINITY)
            ),
            (0, 1, 2, 2, 3)
        );
        assert!((latency.sum() - 20.004).abs() < 1e-9);
    }
}
