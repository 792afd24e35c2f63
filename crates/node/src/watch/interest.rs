//! Who is interested in a key: the watchers that have seen everything so far, found by the key that changes.
//!
//! Owns only the look-up structure, no watcher state. A watcher of one key costs a change of another key nothing; a
//! watcher of a range costs a change of a key at or after its start one comparison.

use super::{StreamId, WatchId};
use std::collections::{BTreeMap, HashMap};
use types::{KeyRange, RangeEnd};

/// One watcher in the whole hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WatcherKey(pub StreamId, pub WatchId);

/// Watchers by what they watch.
#[derive(Default)]
pub(super) struct Interest {
    singles: HashMap<Vec<u8>, Vec<WatcherKey>>,
    ranges: BTreeMap<(Vec<u8>, WatcherKey), KeyRange>,
}

impl Interest {
    pub(super) fn insert(&mut self, watcher: WatcherKey, range: &KeyRange) {
        let start = range.start.as_slice().to_vec();
        if range.is_single() {
            self.singles.entry(start).or_default().push(watcher);
        } else {
            self.ranges.insert((start, watcher), range.clone());
        }
    }

    pub(super) fn remove(&mut self, watcher: WatcherKey, range: &KeyRange) {
        let start = range.start.as_slice().to_vec();
        if !range.is_single() {
            self.ranges.remove(&(start, watcher));
            return;
        }
        if let Some(watchers) = self.singles.get_mut(&start) {
            watchers.retain(|each| *each != watcher);
            if watchers.is_empty() {
                self.singles.remove(&start);
            }
        }
    }

    /// Calls `found` for each watcher of `key`.
    pub(super) fn of(&self, key: &[u8], mut found: impl FnMut(WatcherKey)) {
        if let Some(watchers) = self.singles.get(key) {
            watchers.iter().copied().for_each(&mut found);
        }
        for ((start, watcher), range) in &self.ranges {
            if start.as_slice() > key {
                break;
            }
            let inside = match &range.end {
                RangeEnd::Before(end) => key < end.as_ref(),
                RangeEnd::Unbounded | RangeEnd::Single => true,
            };
            if inside {
                found(*watcher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use types::Key;

    /// A change reaches exactly the watchers whose range holds its key: one too few loses an event, one too many leaks it.
    #[test]
    fn a_key_finds_exactly_the_watchers_whose_range_holds_it() {
        let range = |start: &'static [u8], end: &'static [u8]| {
            KeyRange::from_pair(Key::new(Bytes::from_static(start)).unwrap(), Bytes::from_static(end))
        };
        let ranges = [
            range(b"b", b""),
            range(b"a", b"c"),
            range(b"b", b"\0"),
            range(b"c", b"d"),
            range(b"\0", b"\0"),
            range(b"d", b"a"),
        ];
        let mut interest = Interest::default();
        for (n, range) in ranges.iter().enumerate() {
            interest.insert(WatcherKey(StreamId(1), WatchId(n as i64)), range);
        }
        for key in [&b"\0"[..], b"a", b"b", b"bb", b"c", b"d", b"e"] {
            let mut found = Vec::new();
            interest.of(key, |watcher| found.push(watcher.1.0 as usize));
            found.sort_unstable();
            let expected: Vec<_> = (0..ranges.len()).filter(|n| ranges[*n].contains(key)).collect();
            assert_eq!(found, expected, "key {}", key.escape_ascii());
        }
        for (n, range) in ranges.iter().enumerate() {
            interest.remove(WatcherKey(StreamId(1), WatchId(n as i64)), range);
        }
        interest.of(b"b", |watcher| panic!("{watcher:?} was removed"));
    }
}
