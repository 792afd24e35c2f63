//! The instruments: counters, gauges and histograms that many threads write and a scrape reads.
//!
//! Owns nothing but numbers. Writing is an atomic addition and never locks; reading never waits.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Begins anew.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// One more.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many more, or less.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Now this.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a quantity fell under each bound.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    sum_bits: AtomicU64,
}

/// A histogram's numbers at one moment, cumulative as the text format wants them.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramReading {
    /// Upper bound and number of observations at or below it.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of everything observed.
    pub sum: f64,
    /// Number of observations.
    pub count: u64,
}

impl Histogram {
    /// A histogram with these upper bounds, ascending; the last, infinite one is implied.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_bits: AtomicU64::new(0f64.to_bits()),
        }
    }

    /// Notes one observation.
    pub fn observe(&self, value: f64) {
        let slot = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(slot) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits: u64| Some((f64::from_bits(bits) + value).to_bits());
        let _ = self.sum_bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Whether nothing was observed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
    }

    /// Begins anew.
    pub(crate) fn clear(&self) {
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        self.sum_bits.store(0f64.to_bits(), Ordering::Relaxed);
    }

    /// Notes a duration, in seconds.
    pub fn observe_duration(&self, elapsed: Duration) {
        self.observe(elapsed.as_secs_f64());
    }

    /// The numbers now.
    #[must_use]
    pub fn read(&self) -> HistogramReading {
        let mut seen = 0;
        let mut counts = self.counts.iter().map(|count| {
            seen += count.load(Ordering::Relaxed);
            seen
        });
        let buckets = self.bounds.iter().copied().zip(counts.by_ref()).collect();
        let count = counts.next_back().unwrap_or_default();
        HistogramReading { buckets, sum: f64::from_bits(self.sum_bits.load(Ordering::Relaxed)), count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value on a bound belongs to that bound's bucket and buckets add up, as every reader of the format assumes.
    #[test]
    fn buckets_are_cumulative_and_their_bounds_inclusive() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 9.0] {
            histogram.observe(value);
        }
        let reading = histogram.read();
        assert_eq!(reading.buckets, [(1.0, 2), (2.0, 3)]);
        assert_eq!((reading.count, reading.sum), (4, 12.0));
    }
}
