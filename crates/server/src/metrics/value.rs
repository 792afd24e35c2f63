//! Instruments by label, beside those that the member's own numbers are made of.
//!
//! Owns nothing but numbers. Writing never locks, except the first use of a label set in [`Labelled`]. Label values are
//! `&'static str`, so what a client sends can never become a label and memory stays bounded by the code itself
//! (CVE-2023-47108 was the opposite).

pub use node::meter::{Counter, Gauge, Histogram, HistogramReading};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// One instrument per set of label values. The values are written in the code, never taken from a request.
#[derive(Debug)]
pub struct Labelled<T, const N: usize> {
    make: fn() -> T,
    by_label: RwLock<BTreeMap<[&'static str; N], Arc<T>>>,
}

impl<const N: usize> Labelled<Counter, N> {
    /// Of all labels together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.all().iter().map(|(_, counter)| counter.value()).sum()
    }
}

impl<T, const N: usize> Labelled<T, N> {
    /// No instrument yet; `make` makes one when a label set is first used.
    #[must_use]
    pub fn new(make: fn() -> T) -> Self {
        Self { make, by_label: RwLock::default() }
    }

    /// The instrument of these label values.
    pub fn with(&self, labels: [&'static str; N]) -> Arc<T> {
        if let Some(found) = self.by_label.read().unwrap_or_else(PoisonError::into_inner).get(&labels) {
            return found.clone();
        }
        let mut by_label = self.by_label.write().unwrap_or_else(PoisonError::into_inner);
        by_label.entry(labels).or_insert_with(|| Arc::new((self.make)())).clone()
    }

    /// Every instrument, in the order of its labels.
    #[must_use]
    pub fn all(&self) -> Vec<([&'static str; N], Arc<T>)> {
        let by_label = self.by_label.read().unwrap_or_else(PoisonError::into_inner);
        by_label.iter().map(|(labels, instrument)| (*labels, instrument.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same labels give the same instrument, or counts would be lost.
    #[test]
    fn a_label_set_has_one_instrument() {
        let labelled: Labelled<Counter, 2> = Labelled::new(Counter::default);
        labelled.with(["a", "b"]).inc();
        labelled.with(["a", "b"]).inc();
        labelled.with(["a", "c"]).inc();
        let counts: Vec<_> = labelled.all().iter().map(|(_, counter)| counter.value()).collect();
        assert_eq!(counts, [2, 1]);
    }
}
