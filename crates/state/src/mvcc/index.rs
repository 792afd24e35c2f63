//! The index: keys in byte order, each with its kept versions, and the history in revision order.
//!
//! Owns the `BTreeMap`, the queue of changes that watchers catch up from, and the accounts (live keys, live bytes, what is
//! kept of each segment). One writer changes it, but for the places of records that the collector has copied; readers look at it in pages of [`INDEX_PAGE_KEYS`] under a shared lock.
//!
//! Invariants: history ascends by revision and holds every change above the last finished compaction; the live bytes are
//! the sum over all kept versions.

use super::versions::{Version, Versions};
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, ControlFlow};
use storage::{Position, RECORD_OVERHEAD, SegmentNumber};
use types::limits::INDEX_PAGE_KEYS;
use types::{KeyRange, ModRevision, RangeEnd, Revision};

/// One change of the history: when, and where its record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) at: ModRevision,
    pub(crate) position: Position,
}

/// Keys and history.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Box<[u8]>, Versions>,
    history: VecDeque<Change>,
    live_keys: u64,
    live_bytes: u64,
    /// Bytes on disk of the kept records of each segment.
    kept_bytes: BTreeMap<SegmentNumber, u64>,
}

/// What a version's record takes on disk.
fn disk_bytes(version: Version) -> u64 {
    u64::from(version.bytes).saturating_add(RECORD_OVERHEAD as u64)
}

fn forget(kept_bytes: &mut BTreeMap<SegmentNumber, u64>, version: Version) {
    let segment = version.position.segment();
    if let Some(kept) = kept_bytes.get_mut(&segment) {
        *kept = kept.saturating_sub(disk_bytes(version));
        if *kept == 0 {
            kept_bytes.remove(&segment);
        }
    }
}

/// Where a walk over keys goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// At this key, or the first after it.
    From(Box<[u8]>),
    /// After this key.
    After(Box<[u8]>),
}

impl Cursor {
    /// The beginning of all keys.
    pub(crate) fn first() -> Self {
        Self::From(Box::default())
    }

    /// The beginning of a range.
    pub(crate) fn start_of(range: &KeyRange) -> Self {
        Self::From(range.start.as_slice().into())
    }

    fn bound(&self) -> Bound<&[u8]> {
        match self {
            Self::From(key) => Bound::Included(key),
            Self::After(key) => Bound::Excluded(key),
        }
    }

    /// Whether no key can lie between the cursor and `end`, which the map's range refuses by panicking.
    fn is_at(&self, end: &[u8]) -> bool {
        match self {
            Self::From(key) | Self::After(key) => key.as_ref() >= end,
        }
    }
}

impl Index {
    /// The versions of one key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Versions> {
        self.keys.get(key)
    }

    /// Adds a write.
    pub(crate) fn put(&mut self, key: &[u8], version: Version) {
        match self.keys.get_mut(key) {
            Some(versions) => {
                self.live_keys += u64::from(!versions.is_live());
                versions.put(version);
            }
            None => {
                self.live_keys += 1;
                let mut versions = Versions::default();
                versions.put(version);
                self.keys.insert(key.into(), versions);
            }
        }
        self.record(version);
    }

    /// Adds the deletion of a live key.
    pub(crate) fn end(&mut self, key: &[u8], version: Version) {
        let versions = self.keys.get_mut(key).expect("only a key that was found is deleted");
        versions.end(version);
        self.live_keys -= 1;
        self.record(version);
    }

    /// Adds changes read back from the store to the history and the accounts; in the order of revisions.
    pub(crate) fn recall(&mut self, versions: &[Version]) {
        versions.iter().for_each(|version| self.record(*version));
    }

    /// Adds changes read back from the store to their key; for each key in the order of revisions.
    pub(crate) fn restore<E>(
        &mut self,
        key: Box<[u8]>,
        add: impl FnOnce(&mut Versions) -> Result<(), E>,
    ) -> Result<(), E> {
        let versions = self.keys.entry(key).or_default();
        let before = versions.is_live();
        add(versions)?;
        match (before, versions.is_live()) {
            (false, true) => self.live_keys += 1,
            (true, false) => self.live_keys -= 1,
            (false, false) | (true, true) => {}
        }
        Ok(())
    }

    fn record(&mut self, version: Version) {
        self.history.push_back(Change { at: version.at(), position: version.position });
        self.live_bytes += u64::from(version.bytes);
        *self.kept_bytes.entry(version.position.segment()).or_default() += disk_bytes(version);
    }

    /// Whether a version is kept: for readers of its key, or for watchers that catch up.
    pub(crate) fn keeps(&self, key: &[u8], at: ModRevision) -> bool {
        self.keys.get(key).is_some_and(|versions| versions.exactly(at).is_some())
            || self.place_in_history(at).is_some()
    }

    /// Says where the record of a version is from now on, if the version is still there.
    pub(crate) fn relocate(&mut self, key: &[u8], at: ModRevision, to: Position) {
        if let Some(before) = self.keys.get_mut(key).and_then(|versions| versions.relocate(at, to)) {
            forget(&mut self.kept_bytes, before);
            *self.kept_bytes.entry(to.segment()).or_default() += disk_bytes(before);
        }
        let place = self.place_in_history(at);
        if let Some(change) = place.and_then(|place| self.history.get_mut(place)) {
            change.position = to;
        }
    }

    fn place_in_history(&self, at: ModRevision) -> Option<usize> {
        self.history.binary_search_by_key(&at, |change| change.at).ok()
    }

    /// Bytes on disk of a segment's records that are kept.
    pub(crate) fn kept_bytes(&self, segment: SegmentNumber) -> u64 {
        self.kept_bytes.get(&segment).copied().unwrap_or(0)
    }

    /// One page of keys of `range` from `cursor` on; where to go on, or `None` when the range is exhausted or `visit`
    /// broke off.
    pub(crate) fn page(
        &self,
        cursor: &Cursor,
        range: &KeyRange,
        mut visit: impl FnMut(&[u8], &Versions) -> ControlFlow<()>,
    ) -> Option<Cursor> {
        let end = match &range.end {
            RangeEnd::Single => {
                let versions = self.keys.get(range.start.as_slice())?;
                let _ = visit(range.start.as_slice(), versions);
                return None;
            }
            RangeEnd::Before(end) if cursor.is_at(end) => return None,
            RangeEnd::Before(end) => Bound::Excluded(end.as_ref()),
            RangeEnd::Unbounded => Bound::Unbounded,
        };
        let mut seen = 0;
        for (key, versions) in self.keys.range::<[u8], _>((cursor.bound(), end)) {
            if visit(key, versions).is_break() {
                return None;
            }
            seen += 1;
            if seen == INDEX_PAGE_KEYS {
                return Some(Cursor::After(key.clone()));
            }
        }
        None
    }

    /// Physically forgets what a compaction does not keep, in one page of all keys; where to go on.
    pub(crate) fn compact_page(
        &mut self,
        cursor: &Cursor,
        compacted: Revision,
        mut gone: impl FnMut(Version),
    ) -> Option<Cursor> {
        let mut emptied = Vec::new();
        let mut last = None;
        let mut bytes = 0;
        let kept_bytes = &mut self.kept_bytes;
        let page = self.keys.range_mut::<[u8], _>((cursor.bound(), Bound::Unbounded)).take(INDEX_PAGE_KEYS);
        for (key, versions) in page {
            versions.compact(compacted, |version| {
                bytes += u64::from(version.bytes);
                forget(kept_bytes, version);
                gone(version);
            });
            if versions.is_empty() {
                emptied.push(key.clone());
            }
            last = Some(key);
        }
        let next = last.map(|key| Cursor::After(key.clone()));
        emptied.iter().for_each(|key| {
            self.keys.remove(key);
        });
        self.live_bytes -= bytes;
        next
    }

    /// Forgets the history below `compacted`.
    pub(crate) fn compact_history(&mut self, compacted: Revision) {
        let gone = self.history.partition_point(|change| change.at.main < compacted);
        self.history.drain(..gone);
    }

    /// Up to `count` changes at or above `from`, in order.
    pub(crate) fn changes(&self, from: ModRevision, count: usize) -> Vec<Change> {
        let start = self.history.partition_point(|change| change.at < from);
        self.history.range(start..).take(count).copied().collect()
    }

    /// Keys that exist now.
    pub(crate) fn live_keys(&self) -> u64 {
        self.live_keys
    }

    /// Bytes of all kept records.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }
}
