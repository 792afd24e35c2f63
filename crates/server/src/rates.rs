//! How many requests a second each user makes, for those whose roles limit it.
//!
//! Owns a bucket for each such user: it holds one second's worth, so that a burst of that size passes and the mean does
//! not exceed the limit. Requests beyond are refused at once, never queued.

use quick_cache::sync::Cache;
use std::sync::{Arc, Mutex, PoisonError};
use types::limits::RATES_MAX;

/// The buckets.
pub(crate) struct Rates {
    buckets: Cache<String, Arc<Mutex<Bucket>>>,
}

#[derive(Default)]
struct Bucket {
    /// When the requests so far would have been due, each at its pace, in microseconds.
    due_us: u64,
}

const SECOND_US: u64 = 1_000_000;

impl Default for Rates {
    fn default() -> Self {
        Self { buckets: Cache::new(RATES_MAX) }
    }
}

impl Rates {
    /// Whether one more request of this user's is within `per_second` (not zero).
    pub(crate) fn allow(&self, user: &str, per_second: u64, now_us: u64) -> bool {
        let bucket =
            self.buckets.get_or_insert_with::<_, std::convert::Infallible>(user, || Ok(Arc::default()));
        let Ok(bucket) = bucket;
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = (SECOND_US / per_second.max(1)).max(1);
        // Whoever was idle, or never asked before, has saved up a second, no more.
        let due = bucket.due_us.max(now_us);
        let is_in_time = due.saturating_add(pace) <= now_us.saturating_add(SECOND_US);
        if is_in_time {
            bucket.due_us = due.saturating_add(pace);
        }
        is_in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit that lets more through is none; one that lets less through breaks who keeps to it.
    #[test]
    fn the_mean_keeps_to_the_limit() {
        let rates = Rates::default();
        let start = 0;
        let passed = (0..100).filter(|_| rates.allow("alice", 10, start)).count();
        assert_eq!(passed, 10, "a second's worth at once");
        let passed = (1..=1_000).filter(|n| rates.allow("alice", 10, start + n * 10_000)).count();
        assert_eq!(passed, 100, "ten seconds of a hundred a second");
        assert!(rates.allow("bob", 10, start), "each user has its own");
        let paced = (1..=50).all(|n| rates.allow("carol", 10, start + n * 100_000));
        assert!(paced, "who keeps to the limit never meets it");
    }
}
