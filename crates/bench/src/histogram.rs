//! Times counted in buckets whose width grows with the time: a quantile is right to 1.6 %, in a few kilobytes.
//!
//! Each power of two of nanoseconds has 64 buckets (the idea of HdrHistogram); shorter times than 64 ns have one each.

const FINE: u64 = 64;
const FINE_BITS: u32 = FINE.trailing_zeros();
const BUCKETS: usize = (FINE * (64 - FINE_BITS as u64 + 1)) as usize;

/// How often which time was met.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }

    /// Counts one time, in nanoseconds.
    pub(crate) fn add(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// How many were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The longest, exactly.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The time that this share of all (0 to 1) does not exceed, as the upper edge of its bucket.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(index as u64).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(FINE_BITS + 1);
    (u64::from(shift) * FINE + (nanos >> shift)) as usize
}

fn upper_edge(bucket: u64) -> u64 {
    let shift = (bucket / FINE).saturating_sub(1);
    let first = (bucket - shift * FINE) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every time lies in a bucket whose upper edge is not below it and not 1.6 % above: or quantiles would lie.
    #[test]
    fn every_time_is_near_its_bucket_edge() {
        for power in 0..64 {
            for near in [0, 1, 3] {
                for nanos in [(1_u64 << power).saturating_sub(near), (1_u64 << power).saturating_add(near)] {
                    let edge = upper_edge(bucket(nanos) as u64);
                    assert!(edge >= nanos && edge - nanos <= nanos / FINE, "{nanos} has the edge {edge}");
                }
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    /// Quantiles of known times.
    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let mut histogram = Histogram::new();
        for nanos in 1..=1_000 {
            histogram.add(nanos * 1_000);
        }
        for (share, true_value) in [(0.5, 500_000_u64), (0.99, 990_000), (0.999, 999_000), (1.0, 1_000_000)] {
            let told = histogram.quantile(share);
            assert!(told >= true_value && told <= true_value + true_value / 60, "{share}: {told}");
        }
        assert_eq!((histogram.total(), histogram.max()), (1_000, 1_000_000));
    }
}
