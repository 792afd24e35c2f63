//! Which operations of a transaction may not stand side by side: two puts of one key, or a put inside a deletion.
//!
//! Static, on both branches, nested ones included, before the log sees the transaction. The two branches of one nested
//! transaction exclude each other and may share keys. Quirks that are etcd's and kept: a deletion "from the key on" counts
//! as covering nothing, and so does an inverted range.
//!
//! Invariant: the covered keys are disjoint intervals, so that each look-up costs one step down the tree.

use crate::rpc::status::Failure;
use bytes::Bytes;
use state::command::{Op, Txn};
use std::collections::{BTreeMap, HashSet};
use types::{KeyRange, RangeEnd};

/// Checks both branches.
pub(super) fn check(txn: &Txn) -> Result<(), Failure> {
    check_list(&txn.success)?;
    check_list(&txn.failure)?;
    Ok(())
}

/// The keys put by a list, and those its deletions cover.
fn check_list(ops: &[Op]) -> Result<(HashSet<Bytes>, Covered), Failure> {
    let mut deleted = Covered::default();
    for op in ops {
        if let Op::DeleteRange(delete) = op {
            deleted.add_range(&delete.range);
        }
    }
    let mut puts = HashSet::new();
    for op in ops {
        let Op::Txn(inner) = op else { continue };
        let (puts_then, deleted_then) = check_list(&inner.success)?;
        let (puts_else, deleted_else) = check_list(&inner.failure)?;
        for key in &puts_then {
            if puts.contains(key) || deleted.contains(key) {
                return Err(Failure::DuplicateKey);
            }
            puts.insert(key.clone());
        }
        for key in puts_else {
            let from_elsewhere = puts.contains(&key) && !puts_then.contains(&key);
            if from_elsewhere || deleted.contains(&key) {
                return Err(Failure::DuplicateKey);
            }
            puts.insert(key);
        }
        deleted.add(deleted_then);
        deleted.add(deleted_else);
    }
    for op in ops {
        let Op::Put(put) = op else { continue };
        let key = put.key.bytes();
        if deleted.contains(key) || !puts.insert(key.clone()) {
            return Err(Failure::DuplicateKey);
        }
    }
    Ok((puts, deleted))
}

/// A set of keys as disjoint intervals, by their beginning.
#[derive(Default)]
struct Covered(BTreeMap<Bytes, Bytes>);

impl Covered {
    fn add_range(&mut self, range: &KeyRange) {
        let start = range.start.bytes().clone();
        match &range.end {
            RangeEnd::Single => {
                let mut after = start.to_vec();
                after.push(0);
                self.insert(start, after.into());
            }
            RangeEnd::Before(end) => self.insert(start, end.clone()),
            RangeEnd::Unbounded => {}
        }
    }

    fn add(&mut self, other: Self) {
        for (start, end) in other.0 {
            self.insert(start, end);
        }
    }

    fn insert(&mut self, mut start: Bytes, mut end: Bytes) {
        if end <= start {
            return;
        }
        if let Some((before, until)) = self.0.range(..=start.clone()).next_back()
            && *until >= start
        {
            start = before.clone();
            end = end.max(until.clone());
        }
        while let Some((inside, until)) = self.0.range(start.clone()..=end.clone()).next() {
            let (inside, until) = (inside.clone(), until.clone());
            self.0.remove(&inside);
            end = end.max(until);
        }
        self.0.insert(start, end);
    }

    fn contains(&self, key: &Bytes) -> bool {
        self.0.range(..=key.clone()).next_back().is_some_and(|(_, end)| key < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Key;

    fn range(start: &'static str, end: &'static str) -> KeyRange {
        KeyRange::from_pair(Key::new(Bytes::from_static(start.as_bytes())).unwrap(), end.into())
    }

    /// Merging intervals may neither lose nor add a key, or a put is refused or let through wrongly: held against the
    /// ranges themselves, for every order of adding them.
    #[test]
    fn intervals_cover_what_the_ranges_cover() {
        let ranges = [
            range("b", "d"),
            range("c", "f"),
            range("h", ""),
            range("f", "g"),
            range("z", "y"),
            range("a", "\0"),
        ];
        let keys = ["a", "b", "bb", "c", "d", "e", "f", "g", "gg", "h", "h\0", "i", "y", "z"];
        for shift in 0..ranges.len() {
            let mut covered = Covered::default();
            for n in 0..ranges.len() {
                covered.add_range(&ranges[(n + shift) % ranges.len()]);
            }
            for key in keys {
                let expected = ranges
                    .iter()
                    .filter(|range| range.end != RangeEnd::Unbounded)
                    .any(|range| range.contains(key.as_bytes()));
                assert_eq!(
                    covered.contains(&Bytes::from_static(key.as_bytes())),
                    expected,
                    "{key}, shift {shift}"
                );
            }
        }
    }
}
