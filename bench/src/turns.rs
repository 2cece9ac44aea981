//! Two programs measured in turns in one run, so that a machine that slows down slows both.

use anyhow::Result;

/// Medians over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    pub(crate) limit: f64,
    pub(crate) ours: f64,
    /// Median of `ours / limit` within each round.
    pub(crate) ratio: f64,
}

/// Measures the limit and ours once each in every round, in alternating order.
pub(crate) fn take(
    rounds: usize,
    mut limit: impl FnMut() -> Result<f64>,
    mut ours: impl FnMut() -> Result<f64>,
) -> Result<Turns> {
    let mut pairs = Vec::with_capacity(rounds);
    for round in 0..rounds {
        pairs.push(if round % 2 == 0 {
            let first = limit()?;
            (first, ours()?)
        } else {
            let first = ours()?;
            (limit()?, first)
        });
    }
    Ok(of(&pairs))
}

/// Medians of pairs of the limit and ours.
pub(crate) fn of(pairs: &[(f64, f64)]) -> Turns {
    Turns {
        limit: median(pairs.iter().map(|(limit, _)| *limit)),
        ours: median(pairs.iter().map(|(_, ours)| *ours)),
        ratio: median(pairs.iter().map(|(limit, ours)| ours / limit)),
    }
}

/// The middle value; 0 of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_taken_within_each_round() {
        let (mut limits, mut ours) = (
            [100.0, 50.0, 100.0].into_iter(),
            [60.0, 30.0, 60.0].into_iter(),
        );
        let turns = take(
            3,
            || Ok(limits.next().unwrap()),
            || Ok(ours.next().unwrap()),
        )
        .unwrap();
        assert!((turns.ratio - 0.6).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_nothing_is_zero() {
        assert!(median(std::iter::empty()).abs() < f64::EPSILON);
    }
}
