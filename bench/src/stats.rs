//! Medians and percentiles.

use std::time::Duration;

/// The middle of `values`; the mean of the two middle ones when their number is even. 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mid = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 {
        at(mid)
    } else {
        f64::midpoint(at(mid.saturating_sub(1)), at(mid))
    }
}

/// Latencies of one round.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    /// Microseconds.
    pub(crate) p50: f64,
    /// Microseconds.
    pub(crate) p99: f64,
    /// Microseconds.
    pub(crate) p999: f64,
}

impl Latency {
    /// Percentiles of `samples`, which it sorts.
    pub(crate) fn of(samples: &mut [Duration]) -> Self {
        samples.sort_unstable();
        let at = |per_mille: usize| {
            let last = samples.len().saturating_sub(1);
            let index = (samples.len() * per_mille / 1_000).min(last);
            samples
                .get(index)
                .map_or(0.0, |sample| sample.as_secs_f64() * 1e6)
        };
        Self {
            p50: at(500),
            p99: at(990),
            p999: at(999),
        }
    }

    /// The median of each percentile over rounds.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let pick = |of: fn(&Self) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
        Self {
            p50: pick(|r| r.p50),
            p99: pick(|r| r.p99),
            p999: pick(|r| r.p999),
        }
    }
}

/// `count` as a floating-point number; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a bench are far below 2^53"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "small integers are exact")]
    fn medians_and_percentiles() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let mut samples: Vec<_> = (1..=1_000).rev().map(Duration::from_micros).collect();
        let latency = Latency::of(&mut samples);
        let rounded = [latency.p50, latency.p99, latency.p999].map(f64::round);
        assert_eq!(rounded, [501.0, 991.0, 1_000.0]);
    }
}
