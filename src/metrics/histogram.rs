//! A histogram of times that is added to a batch at a time.
//!
//! The client library's own takes a lock for each observation.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Upper bounds of the buckets, in nanoseconds: from what a process adds to what a bad network does.
const BOUNDS: [i64; 18] = [
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
    30_000_000_000,
    60_000_000_000,
];

/// One bucket for each bound, and one for what is above all of them.
const BUCKETS: usize = BOUNDS.len() + 1;

/// How often each of a range of times occurred.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

/// What has been observed and not been added to a [`Histogram`] yet.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: [u64; BUCKETS],
    sum: u64,
    observed: bool,
}

impl Tally {
    /// Takes in a time in nanoseconds. A negative one, of clocks that disagree, counts as none.
    pub fn observe(&mut self, nanos: i64) {
        let nanos = nanos.max(0);
        self.counts[BOUNDS.partition_point(|&it| it < nanos)] += 1;
        self.sum = self.sum.wrapping_add(nanos.unsigned_abs());
        self.observed = true;
    }
}

impl Histogram {
    /// Adds what `tally` has, and empties it.
    pub fn add(&self, tally: &mut Tally) {
        if !tally.observed {
            return;
        }
        for (to, n) in self.inner.counts.iter().zip(tally.counts).filter(|(_, n)| *n != 0) {
            to.fetch_add(n, Ordering::Relaxed);
        }
        self.inner.sum.fetch_add(tally.sum, Ordering::Relaxed);
        *tally = Tally::default();
    }

    /// Adds one time, in nanoseconds, that occurs too rarely to be tallied.
    pub fn observe(&self, nanos: i64) {
        let mut tally = Tally::default();
        tally.observe(nanos);
        self.add(&mut tally);
    }

    /// How many times have been added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.counts.iter().map(|it| it.load(Ordering::Relaxed)).sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a bound and a sum in seconds are for people")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS.iter().map(|it| seconds(it.unsigned_abs())).chain([f64::INFINITY]);
        let counts = self.inner.counts.iter().map(|it| it.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, n)| n).sum();
        let sum = seconds(self.inner.sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text, registry::Registry};

    use super::*;

    #[test]
    fn buckets_are_cumulative_and_their_bounds_inclusive() {
        let histogram = Histogram::default();
        let mut tally = Tally::default();
        for nanos in [-5, 0, 100_000, 100_001, 1_000_000_000, 61_000_000_000] {
            tally.observe(nanos);
        }
        histogram.add(&mut tally);
        histogram.add(&mut tally);
        assert_eq!(histogram.count(), 6);
        let mut registry = Registry::default();
        registry.register("lag_seconds", "help", histogram);
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("a String");
        for line in [
            "lag_seconds_count 6",
            "lag_seconds_bucket{le=\"0.0001\"} 3",
            "lag_seconds_bucket{le=\"0.00025\"} 4",
            "lag_seconds_bucket{le=\"1.0\"} 5",
            "lag_seconds_bucket{le=\"60.0\"} 5",
            "lag_seconds_bucket{le=\"+Inf\"} 6",
            "lag_seconds_sum 62.000200001",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }
}
