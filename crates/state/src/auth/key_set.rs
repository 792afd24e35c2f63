//! A set of keys as permissions make it: the union of key ranges.
//!
//! Owns the one question that access control asks of keys: does the set cover this range? Kept as disjoint intervals in
//! order, so that the answer is one bisection, however many permissions went in. Never knows users or rights.
//!
//! Invariants: intervals are not empty, in order, and neither overlap nor touch; so a range is covered exactly when one
//! interval covers it. Source of the meaning: etcd's `auth/range_perm_cache.go` (an empty, inverted range needs the right to
//! its first key, as there).

use bytes::Bytes;
use types::{KeyRange, RangeEnd};

/// A union of key ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    intervals: Vec<Interval>,
}

/// The keys from `start` on that are below `end`; without an end all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interval {
    start: Bytes,
    end: Option<Bytes>,
}

impl KeySet {
    /// The union of `ranges`.
    #[must_use]
    pub fn of<'a>(ranges: impl IntoIterator<Item = &'a KeyRange>) -> Self {
        let mut parts: Vec<Interval> =
            ranges.into_iter().filter(|range| !range.is_empty()).map(Interval::of).collect();
        parts.sort_by(|a, b| a.start.cmp(&b.start));
        let mut intervals: Vec<Interval> = Vec::with_capacity(parts.len());
        for part in parts {
            match intervals.last_mut() {
                Some(last) if last.reaches(&part.start) => last.grow(part.end),
                _ => intervals.push(part),
            }
        }
        Self { intervals }
    }

    /// The keys that are in this set and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut intervals = Vec::with_capacity(self.intervals.len());
        for whole in &self.intervals {
            let mut rest = Some(whole.clone());
            for hole in &other.intervals {
                let Some(left) = rest.take() else { break };
                let (before, behind) = left.cut(hole);
                intervals.extend(before);
                rest = behind;
            }
            intervals.extend(rest);
        }
        Self { intervals }
    }

    /// Whether no key is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Whether every key of `range` is in the set; of an inverted range, its first key.
    #[must_use]
    pub fn covers(&self, range: &KeyRange) -> bool {
        let start = range.start.as_slice();
        let Some(interval) = self.interval_before(start).filter(|interval| interval.contains(start)) else {
            return false;
        };
        match (&range.end, &interval.end) {
            (_, None) | (RangeEnd::Single, Some(_)) => true,
            (RangeEnd::Before(end), Some(last)) => range.is_empty() || end <= last,
            (RangeEnd::Unbounded, Some(_)) => false,
        }
    }

    /// Whether some key of `range` is in the set.
    #[must_use]
    pub fn touches(&self, range: &KeyRange) -> bool {
        if range.is_empty() {
            return false;
        }
        let wanted = Interval::of(range);
        let begins_before = |interval: &Interval| wanted.end.as_ref().is_none_or(|end| interval.start < *end);
        let behind = self.intervals.partition_point(|interval| interval.start <= wanted.start);
        self.interval_before(&wanted.start).is_some_and(|interval| interval.contains(&wanted.start))
            || self.intervals.get(behind).is_some_and(begins_before)
    }

    /// The last interval that begins at `key` or before it.
    fn interval_before(&self, key: &[u8]) -> Option<&Interval> {
        let behind = self.intervals.partition_point(|interval| interval.start.as_ref() <= key);
        self.intervals.get(behind.checked_sub(1)?)
    }
}

impl Interval {
    fn of(range: &KeyRange) -> Self {
        let end = match &range.end {
            RangeEnd::Single => {
                let mut next = Vec::with_capacity(range.start.as_slice().len() + 1);
                next.extend_from_slice(range.start.as_slice());
                next.push(0);
                Some(next.into())
            }
            RangeEnd::Before(end) => Some(end.clone()),
            RangeEnd::Unbounded => None,
        };
        Self { start: range.start.bytes().clone(), end }
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.start.as_ref() <= key && self.end.as_ref().is_none_or(|end| key < end.as_ref())
    }

    /// What is left of it before and behind a hole.
    fn cut(self, hole: &Self) -> (Option<Self>, Option<Self>) {
        let begins_before = |end: &Option<Bytes>, start: &Bytes| end.as_ref().is_none_or(|end| start < end);
        if !begins_before(&self.end, &hole.start) {
            return (Some(self), None);
        }
        if !begins_before(&hole.end, &self.start) {
            return (None, Some(self));
        }
        let before = (self.start < hole.start)
            .then(|| Self { start: self.start.clone(), end: Some(hole.start.clone()) });
        let behind = match &hole.end {
            Some(end) if begins_before(&self.end, end) => Some(Self { start: end.clone(), end: self.end }),
            _ => None,
        };
        (before, behind)
    }

    /// Whether an interval that begins at `start`, not before this one, leaves no gap behind this one.
    fn reaches(&self, start: &[u8]) -> bool {
        self.end.as_ref().is_none_or(|end| start <= end.as_ref())
    }

    fn grow(&mut self, end: Option<Bytes>) {
        self.end = match (self.end.take(), end) {
            (Some(mine), Some(other)) => Some(mine.max(other)),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{property_cases, some_range};
    use proptest::prelude::*;

    /// The first key of each class of keys that no bound of these ranges parts: what holds for it holds for its class.
    fn representatives(ranges: &[KeyRange]) -> Vec<Vec<u8>> {
        let bounds = ranges.iter().flat_map(|range| {
            let start = range.start.as_slice().to_vec();
            let end = match &range.end {
                RangeEnd::Single => [start.as_slice(), &[0]].concat(),
                RangeEnd::Before(end) => end.to_vec(),
                RangeEnd::Unbounded => start.clone(),
            };
            [start, end]
        });
        bounds.collect()
    }

    proptest! {
        #![proptest_config(property_cases())]

        /// Against the model that asks single keys: a set covers a range exactly when it holds every key of it, and
        /// touches it exactly when it holds some. A wrong answer here would be a wrong answer for every request.
        #[test]
        fn covers_and_touches_are_what_every_single_key_says(
            grants in proptest::collection::vec(some_range(), 0..5),
            asked in some_range(),
        ) {
            let set = KeySet::of(&grants);
            let is_granted = |key: &[u8]| grants.iter().any(|grant| grant.contains(key));
            let all: Vec<KeyRange> = grants.iter().chain([&asked]).cloned().collect();
            let asked_for: Vec<bool> =
                representatives(&all).iter().filter(|key| asked.contains(key)).map(|key| is_granted(key)).collect();
            prop_assert_eq!(set.touches(&asked), asked_for.contains(&true));
            // Every key of the question is taken out of the set, and no other.
            let rest = set.without(&KeySet::of([&asked]));
            for key in representatives(&all) {
                let single = KeyRange::single(types::Key::new(key.clone().into()).unwrap());
                prop_assert_eq!(rest.covers(&single), is_granted(&key) && !asked.contains(&key));
            }
            if asked.is_empty() {
                prop_assert_eq!(set.covers(&asked), is_granted(asked.start.as_slice()));
            } else {
                prop_assert_eq!(set.covers(&asked), !asked_for.contains(&false));
            }
        }
    }
}
