//! The log's readers: recent entries from memory, older ones from the disk.
//!
//! [`Tail`] knows every entry's term and place, and of the newest entries those that somebody will want soon, themselves;
//! [`Shared`] puts a lock around it. The lock is never held while the disk is read.
//!
//! Invariants: terms are known for every entry from `base` on; an entry stays in memory until it is written.

use super::record::{self, Base};
use crate::dir::Dir;
use crate::file::SegmentFile;
use consensus::{Entry, LogError, LogRead};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use types::{LogIndex, Term};

/// What an entry weighs besides its data.
const ENTRY_BYTES: usize = 32;

fn bytes_of(entry: &Entry) -> usize {
    entry.data.len().saturating_add(ENTRY_BYTES)
}

/// Where an entry is on disk; segment 0 if it is not written yet.
#[derive(Clone, Copy, Debug)]
struct Slot {
    term: Term,
    segment: u32,
    offset: u32,
}

/// All entries' terms and places, and the newest entries that are still wanted.
#[derive(Debug)]
pub(super) struct Tail {
    base: Base,
    slots: VecDeque<Slot>,
    /// The newest entries; the last one is the log's last. None when all were let go of.
    recent: VecDeque<Entry>,
    recent_bytes: usize,
    recent_bytes_max: usize,
    /// Entries before this index need not be in memory.
    wanted_from: LogIndex,
    /// Entries before this index are written.
    first_unwritten: LogIndex,
}

impl Tail {
    pub(super) fn new(base: Base, recent_bytes_max: usize, wanted_from: LogIndex) -> Self {
        let (slots, recent) = (VecDeque::new(), VecDeque::new());
        let first_unwritten = base.0.next();
        Self { base, slots, recent, recent_bytes: 0, recent_bytes_max, wanted_from, first_unwritten }
    }

    pub(super) fn base(&self) -> Base {
        self.base
    }

    pub(super) fn last(&self) -> LogIndex {
        LogIndex(self.base.0.0.saturating_add(self.slots.len() as u64))
    }

    pub(super) fn last_base(&self) -> Base {
        (self.last(), self.slots.back().map_or(self.base.1, |slot| slot.term))
    }

    /// Everything up to `base` is gone, and everything after it.
    pub(super) fn restart(&mut self, base: Base) {
        *self = Self::new(base, self.recent_bytes_max, self.wanted_from);
    }

    fn slot(&self, index: LogIndex) -> Option<&Slot> {
        let offset = index.0.checked_sub(self.base.0.0)?.checked_sub(1)?;
        self.slots.get(usize::try_from(offset).ok()?)
    }

    fn slot_mut(&mut self, index: LogIndex) -> Option<&mut Slot> {
        let offset = index.0.checked_sub(self.base.0.0)?.checked_sub(1)?;
        self.slots.get_mut(usize::try_from(offset).ok()?)
    }

    /// Puts an entry at the end, or in place of it and all after it. The caller has checked that it leaves no gap.
    pub(super) fn put(&mut self, entry: Entry) {
        while self.last() >= entry.index && self.slots.pop_back().is_some() {
            if let Some(gone) = self.recent.pop_back() {
                self.recent_bytes = self.recent_bytes.saturating_sub(bytes_of(&gone));
            }
        }
        self.first_unwritten = self.first_unwritten.min(entry.index);
        self.slots.push_back(Slot { term: entry.term, segment: 0, offset: 0 });
        self.recent_bytes = self.recent_bytes.saturating_add(bytes_of(&entry));
        self.recent.push_back(entry);
    }

    /// An entry is written.
    pub(super) fn written(&mut self, index: LogIndex, segment: u32, offset: u32) {
        if let Some(slot) = self.slot_mut(index) {
            (slot.segment, slot.offset) = (segment, offset);
        }
        if self.first_unwritten == index {
            self.first_unwritten = index.next();
        }
        self.forget_old();
    }

    /// Entries before `wanted_from` will hardly be asked for any more.
    fn let_go(&mut self, wanted_from: LogIndex) {
        self.wanted_from = self.wanted_from.max(wanted_from);
        self.forget_old();
    }

    /// Lets go of the oldest entries in memory that are written: of those that nobody wants, and of more down to the limit.
    fn forget_old(&mut self) {
        while self.recent.front().is_some_and(|oldest| {
            let may_go = self.recent_bytes > self.recent_bytes_max || oldest.index < self.wanted_from;
            may_go && oldest.index < self.first_unwritten
        }) {
            let gone = self.recent.pop_front();
            self.recent_bytes = self.recent_bytes.saturating_sub(gone.as_ref().map_or(0, bytes_of));
        }
    }

    /// Everything up to `base` is gone.
    fn release(&mut self, base: Base) {
        if base.0 <= self.base.0 {
            return;
        }
        // The entry at the segment's beginning may have been superseded since: the newest term counts.
        let base = (base.0, self.slot(base.0).map_or(base.1, |slot| slot.term));
        let count = usize::try_from(base.0.0.saturating_sub(self.base.0.0)).unwrap_or(usize::MAX);
        self.slots.drain(..count.min(self.slots.len()));
        while self.recent.front().is_some_and(|oldest| oldest.index <= base.0) {
            let gone = self.recent.pop_front();
            self.recent_bytes = self.recent_bytes.saturating_sub(gone.as_ref().map_or(0, bytes_of));
        }
        self.base = base;
        self.first_unwritten = self.first_unwritten.max(base.0.next());
    }

    fn recent_from(&self, index: LogIndex) -> impl Iterator<Item = &Entry> {
        let first = self.recent.front().map_or(self.last().next(), |entry| entry.index);
        let skip = usize::try_from(index.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        self.recent.iter().skip(skip)
    }
}

#[derive(Debug)]
struct Inside {
    tail: Tail,
    files: BTreeMap<u32, Arc<SegmentFile>>,
    /// Whether entries come through [`LogReader::stage`] before they are appended.
    is_staged: bool,
}

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    dir: Arc<Dir>,
    inside: RwLock<Inside>,
}

impl Shared {
    pub(super) fn new(dir: Arc<Dir>, tail: Tail, files: BTreeMap<u32, Arc<SegmentFile>>) -> Self {
        Self { dir, inside: RwLock::new(Inside { tail, files, is_staged: false }) }
    }

    pub(super) fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    pub(super) fn base(&self) -> LogIndex {
        self.read().tail.base.0
    }

    pub(super) fn opened(&self, number: u32, file: Arc<SegmentFile>) {
        self.write().files.insert(number, file);
    }

    pub(super) fn released(&self, number: u32, base: Base) {
        let mut inside = self.write();
        inside.files.remove(&number);
        inside.tail.release(base);
    }

    pub(super) fn restart(&self, base: Base) {
        self.write().tail.restart(base);
    }

    /// Entries are written. Where entries are staged, one that was superseded since is passed over.
    pub(super) fn written(&self, entries: &[Entry], segment: u32, offsets: &[u32]) {
        let mut inside = self.write();
        let is_staged = inside.is_staged;
        for (entry, offset) in entries.iter().zip(offsets) {
            if !is_staged {
                inside.tail.put(entry.clone());
            }
            if inside.tail.slot(entry.index).is_some_and(|slot| slot.term == entry.term) {
                inside.tail.written(entry.index, segment, *offset);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inside> {
        self.inside.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inside> {
        self.inside.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the log, from any thread.
#[derive(Clone, Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes entries readable that are on their way to the writer. Consensus reads what it handed out at once, before it
    /// is written; so whoever drives it calls this with every batch's entries, in the order in which they are then
    /// appended. Either all entries of a log are staged or none. An entry that would leave a gap, and those after it,
    /// are passed over; the writer refuses them later.
    pub fn stage(&self, entries: &[Entry]) {
        let mut inside = self.shared.write();
        inside.is_staged = true;
        for entry in entries {
            if entry.index > inside.tail.last().next() || entry.index <= inside.tail.base.0 {
                return;
            }
            inside.tail.put(entry.clone());
        }
    }

    /// Lets go of the entries in memory before `wanted_from`, as soon as they are written. They can be read still, from the disk.
    pub fn let_go(&self, wanted_from: LogIndex) {
        self.shared.write().tail.let_go(wanted_from);
    }

    fn read_entry(
        &self,
        index: LogIndex,
        slot: Slot,
        file: Option<Arc<SegmentFile>>,
    ) -> Result<Entry, LogError> {
        let file = file.ok_or(LogError::Compacted)?;
        let broken = |why: String| LogError::Broken(why);
        let (kind, payload) =
            file.read(slot.offset.into(), u64::MAX).map_err(|error| broken(error.to_string()))?;
        let entry = (kind == record::ENTRY).then(|| record::decode_entry(payload));
        match entry {
            Some(Ok(entry)) if (entry.index, entry.term) == (index, slot.term) => Ok(entry),
            _ => {
                let why = format!("it is not entry {index}");
                Err(broken(file.damaged(slot.offset.into(), why).to_string()))
            }
        }
    }
}

impl LogRead for LogReader {
    fn first_index(&self) -> LogIndex {
        self.shared.base().next()
    }

    fn last_index(&self) -> LogIndex {
        self.shared.read().tail.last()
    }

    fn term(&self, index: LogIndex) -> Result<Term, LogError> {
        let inside = self.shared.read();
        let base = inside.tail.base;
        if index == base.0 {
            return Ok(base.1);
        }
        if index < base.0 {
            return Err(LogError::Compacted);
        }
        inside.tail.slot(index).map(|slot| slot.term).ok_or(LogError::Unavailable)
    }

    fn entries(&self, low: LogIndex, high: LogIndex, bytes_max: u64) -> Result<Vec<Entry>, LogError> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let inside = self.shared.read();
        let tail = &inside.tail;
        if low <= tail.base.0 {
            return Err(LogError::Compacted);
        }
        if high > tail.last().next() {
            return Err(LogError::Unavailable);
        }
        let in_memory = tail.recent.front().map_or(tail.last().next(), |entry| entry.index);
        let from_memory = tail.recent_from(low.max(in_memory)).take_while(|entry| entry.index < high);
        let mut recent = Vec::new();
        let mut bytes = 0usize;
        for entry in from_memory {
            bytes = bytes.saturating_add(bytes_of(entry));
            if bytes > bytes_max && !recent.is_empty() {
                break;
            }
            recent.push(entry.clone());
        }
        if low >= in_memory {
            return Ok(recent);
        }
        let on_disk: Vec<_> = (low.0..high.min(in_memory).0)
            .map(LogIndex)
            .filter_map(|index| {
                tail.slot(index).map(|slot| (index, *slot, inside.files.get(&slot.segment).cloned()))
            })
            .collect();
        drop(inside);
        let mut entries = Vec::new();
        let mut bytes = 0usize;
        let mut is_full = |entry: &Entry, is_first: bool| {
            bytes = bytes.saturating_add(bytes_of(entry));
            bytes > bytes_max && !is_first
        };
        for (index, slot, file) in on_disk {
            let entry = self.read_entry(index, slot, file)?;
            if is_full(&entry, entries.is_empty()) {
                return Ok(entries);
            }
            entries.push(entry);
        }
        for entry in recent {
            if is_full(&entry, entries.is_empty()) {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use consensus::EntryKind;

    fn tail(written: u64, staged: u64) -> Tail {
        let mut tail = Tail::new((LogIndex(0), Term(0)), 10_000, LogIndex(1));
        for index in (1..=staged).map(LogIndex) {
            let data = Bytes::from_static(&[b'x'; 100]);
            tail.put(Entry { index, term: Term(1), kind: EntryKind::Normal, data });
            if index <= LogIndex(written) {
                tail.written(index, 1, 0);
            }
        }
        tail
    }

    fn in_memory(tail: &Tail) -> Vec<u64> {
        tail.recent.iter().map(|entry| entry.index.0).collect()
    }

    /// What nobody wants is let go of although there is room for it, since each value would else be in memory twice; but nothing
    /// that can be read nowhere else, which goes when it is written.
    #[test]
    fn what_nobody_wants_is_let_go_of_when_it_is_written() {
        let mut tail = tail(6, 9);
        assert_eq!(in_memory(&tail), (1..=9).collect::<Vec<_>>());
        tail.let_go(LogIndex(4));
        assert_eq!(in_memory(&tail), (4..=9).collect::<Vec<_>>());
        tail.let_go(LogIndex(3));
        assert_eq!(in_memory(&tail), (4..=9).collect::<Vec<_>>(), "what is gone is gone");
        tail.let_go(LogIndex(10));
        assert_eq!(in_memory(&tail), [7, 8, 9]);
        (7..=9).for_each(|index| tail.written(LogIndex(index), 1, 0));
        assert!(tail.recent.is_empty() && tail.recent_bytes == 0);
        assert_eq!((tail.last(), tail.slot(LogIndex(9)).unwrap().term), (LogIndex(9), Term(1)));
    }

    /// A log that is superseded below what was let go of goes on from there: a follower's end is its new leader's, whatever the
    /// follower has in memory.
    #[test]
    fn what_was_let_go_of_can_be_superseded() {
        let mut tail = tail(9, 9);
        tail.let_go(LogIndex(10));
        tail.put(Entry { index: LogIndex(5), term: Term(2), kind: EntryKind::Normal, data: Bytes::new() });
        assert_eq!((tail.last(), in_memory(&tail)), (LogIndex(5), vec![5]));
        tail.written(LogIndex(5), 2, 0);
        assert!(tail.recent.is_empty());
        assert_eq!(tail.last_base(), (LogIndex(5), Term(2)));
    }
}
