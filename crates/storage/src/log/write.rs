//! The log's writer: one buffer, one write and one sync a batch.

use super::create::{self, Reserved};
use super::read::{LogReader, Shared};
use super::record::{self, Base, Head};
use super::recover::Found;
use super::{LogOptions, LogPosition};
use crate::dir::Dir;
use crate::file::SegmentFile;
use crate::superseded::{Going, Superseded};
use crate::{Error, names};
use bytes::Bytes;
use consensus::{Entry, HardState};
use seal::{END_RECORD_BYTES, RECORD_BYTES_MAX, RECORD_OVERHEAD, Sealer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::{LogIndex, Term};

/// Segments are addressed with 32 bits; a batch must fit into one.
const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64;
/// What a segment holds besides batches, rounded up: header, head, end.
const SEGMENT_OVERHEAD: u64 = 512 + END_RECORD_BYTES as u64;

/// What is made durable together.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogBatch<'a> {
    /// The hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// Entries without a gap; the first follows the last one there, or supersedes all from its index on.
    pub entries: &'a [Entry],
    /// Audit intents that must be durable with them.
    pub audit: &'a [Bytes],
}

impl LogBatch<'_> {
    /// Bytes on disk.
    fn bytes(&self) -> u64 {
        let hard_state = self.hard_state.map_or(0, |_| RECORD_OVERHEAD + record::HARD_STATE_BYTES);
        let entry = |entry: &Entry| RECORD_OVERHEAD + record::ENTRY_HEAD_BYTES + entry.data.len();
        let entries: usize = self.entries.iter().map(entry).sum();
        let audit: usize = self.audit.iter().map(|intent| RECORD_OVERHEAD + intent.len()).sum();
        record::BATCH_RECORD_BYTES + (hard_state + entries + audit) as u64
    }

    fn check(&self, base: LogIndex, last: LogIndex) -> Result<(), Error> {
        let misuse = |what: String| Err(Error::Misuse(what));
        if let Some(first) = self.entries.first() {
            if first.index > last.next() || first.index <= base {
                return misuse(format!(
                    "entry {} does not go on a log of {} to {last}",
                    first.index,
                    base.next()
                ));
            }
            if let Some((i, gap)) = (first.index.0..).zip(self.entries).find(|(i, entry)| entry.index.0 != *i)
            {
                return misuse(format!("entry {} where {i} should be", gap.index));
            }
        }
        let largest = self.entries.iter().map(|entry| entry.data.len() + record::ENTRY_HEAD_BYTES);
        let largest = largest.chain(self.audit.iter().map(Bytes::len)).max().unwrap_or(0);
        if largest > RECORD_BYTES_MAX {
            return Err(seal::Error::TooLarge { bytes: largest, limit: RECORD_BYTES_MAX }.into());
        }
        Ok(())
    }
}

/// The segment being written.
#[derive(Debug)]
struct Current {
    number: u32,
    base: Base,
    capacity: u64,
    sealer: Sealer,
    segment: Arc<SegmentFile>,
}

impl Current {
    fn position(&self) -> LogPosition {
        LogPosition { segment: self.number, offset: self.sealer.position() }
    }
}

/// A segment before the current one.
#[derive(Clone, Copy, Debug)]
struct Older {
    number: u32,
    /// What was before it.
    base: Base,
    bytes: u64,
}

/// The log's one writer.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
    options: LogOptions,
    current: Current,
    /// Segments before the current one, oldest first.
    older: VecDeque<Older>,
    /// Segments that are released and still there.
    superseded: Superseded,
    spare: Option<Reserved>,
    is_short_of_space: bool,
    is_unsynced: bool,
    synced: LogPosition,
    is_poisoned: bool,
    hard_state: HardState,
    /// A hard state that is not written yet.
    deferred: Option<HardState>,
    last: Base,
    batches: u64,
    buffer: Vec<u8>,
    positions: Vec<u32>,
}

impl LogWriter {
    /// Goes on after what was found, in a new segment.
    pub(super) fn go_on(
        dir: Arc<Dir>,
        options: LogOptions,
        found: Found,
    ) -> Result<(Self, LogReader), Error> {
        let (last, hard_state) = (found.tail.last_base(), found.summary().hard_state);
        let number = found.segments.last().map_or(0, |last| last.number);
        if let Some(last) = found.segments.last() {
            // A killed process leaves bytes that are readable but not durable; they are believed from here on.
            last.file.file.sync_data()?;
        }
        for path in &found.unused {
            dir.env.disk.remove(path)?;
        }
        let head = Head { predecessor: (number, found.last_extent), hard_state, base: last };
        let next = number.saturating_add(1);
        let mut buffer = Vec::new();
        if let Some(inherited) = found.segments.last() {
            // What is beyond is zeros, or the torn end of a batch that nobody was told of. Its space may be all there is.
            inherited.file.file.set_len(found.last_extent.length)?;
        }
        let reserved = create::reserve_what_there_is(&dir, next, options.segment_bytes)?;
        let (sealer, segment) = reserved.begin(&dir, &head, &mut buffer)?;
        let segment = Arc::new(segment);
        let older = found.segments.iter().map(|inherited| {
            let bytes = inherited.file.file.len()?;
            Ok(Older { number: inherited.number, base: inherited.base, bytes })
        });
        let older = older.collect::<Result<_, Error>>()?;
        let files = found.segments.iter().map(|inherited| (inherited.number, inherited.file.clone()));
        let files = files.chain([(next, segment.clone())]).collect();
        let shared = Arc::new(Shared::new(dir, found.tail, files));
        let reader = LogReader::new(shared.clone());
        let writer = Self {
            shared,
            options,
            current: Current { number: next, base: last, capacity: reserved.bytes, sealer, segment },
            older,
            superseded: Superseded::default(),
            spare: None,
            is_short_of_space: reserved.bytes < options.segment_bytes,
            is_unsynced: false,
            synced: LogPosition { segment: next, offset: record::BEGIN_BYTES },
            is_poisoned: false,
            hard_state,
            deferred: None,
            last,
            batches: 0,
            buffer,
            positions: Vec::new(),
        };
        Ok((writer, reader))
    }

    /// Writes a batch; durable after [`LogWriter::sync`]. If the batch before is not synced yet, that comes first. A hard state
    /// alone waits in memory for the next batch or sync, so that a new commit index costs no write of its own.
    ///
    /// # Errors
    /// [`Error::NoSpace`] or [`Error::Misuse`]: nothing was written, the writer goes on. Else the writer is poisoned.
    pub fn append(&mut self, batch: LogBatch<'_>) -> Result<(), Error> {
        self.check_sound()?;
        batch.check(self.shared.base(), self.last.0)?;
        self.hard_state = batch.hard_state.unwrap_or(self.hard_state);
        self.deferred = batch.hard_state.or(self.deferred);
        if batch.entries.is_empty() && batch.audit.is_empty() {
            return Ok(());
        }
        self.write(&LogBatch { hard_state: self.deferred, ..batch })
    }

    /// Makes what was appended durable.
    ///
    /// # Errors
    /// [`Error::NoSpace`]: a hard state that waited could not be written yet, the writer goes on. Else the disk's failure; the
    /// writer is poisoned.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.check_sound()?;
        if self.deferred.is_some() {
            self.write(&LogBatch { hard_state: self.deferred, ..LogBatch::default() })?;
        }
        self.sync_written()
    }

    fn write(&mut self, batch: &LogBatch<'_>) -> Result<(), Error> {
        self.sync_written()?;
        self.make_room(batch.bytes())?;
        self.seal_batch(batch).map_err(|error| self.poison(error))?;
        self.write_buffer().map_err(|error| self.poison(error))?;
        self.deferred = None;
        if let Some(last) = batch.entries.last() {
            self.last = (last.index, last.term);
            self.shared.written(batch.entries, self.current.number, &self.positions);
        }
        Ok(())
    }

    fn sync_written(&mut self) -> Result<(), Error> {
        if !self.is_unsynced {
            return Ok(());
        }
        self.current.segment.file.sync_data().map_err(|error| self.poison(error.into()))?;
        self.is_unsynced = false;
        self.synced = self.current.position();
        self.reserve_ahead()
    }

    /// Lets go of whole segments that hold only entries before `below`; entries from the first segment left on stay readable.
    /// The files stay for a while, as space allows: until then a start would find them.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn release(&mut self, below: LogIndex) -> Result<(), Error> {
        self.check_sound()?;
        let dir = self.shared.dir().clone();
        let now = dir.env.clock.monotonic();
        while let Some(Older { number, bytes, .. }) = self.older.front().copied() {
            let next = self.older.get(1).map_or(self.current.base, |next| next.base);
            if next.0 >= below {
                break;
            }
            self.shared.released(number, next);
            self.superseded.add(names::log_segment(&dir.path, number), bytes, now);
            self.older.pop_front();
        }
        self.delete_superseded(if self.is_short_of_space { Going::All } else { Going::of(&dir) }).map(drop)
    }

    /// The first entry of the newest closed segments that together have at most `bytes`.
    #[must_use]
    pub fn first_within(&self, bytes: u64) -> LogIndex {
        let (mut first, mut sum) = (self.current.base, 0u64);
        for older in self.older.iter().rev() {
            sum = sum.saturating_add(older.bytes);
            if sum > bytes {
                break;
            }
            first = older.base;
        }
        first.0.next()
    }

    /// Whether what nothing needs any more, of log and store, goes at once instead of waiting for copies under way.
    pub fn let_go_at_once(&self, is_short_of_space: bool) {
        self.shared.dir().is_short_of_space.store(is_short_of_space, Ordering::Relaxed);
    }

    /// Gives back the space of released segments now; answers whether there were any.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn free_released(&mut self) -> Result<bool, Error> {
        self.check_sound()?;
        self.delete_superseded(Going::All)
    }

    /// Deletes released segments from the oldest on: never one while an older one is there. Not made durable here, where a batch
    /// may wait: a power failure brings the newest of them back, which are the log's still.
    fn delete_superseded(&mut self, going: Going) -> Result<bool, Error> {
        let dir = self.shared.dir();
        let now = dir.env.clock.monotonic();
        let bytes_max = dir.superseded_bytes_max.load(Ordering::Relaxed);
        let mut is_changed = false;
        while let Some(oldest) = self.superseded.oldest(going, bytes_max, now) {
            dir.env.disk.remove(oldest)?;
            self.superseded.gone();
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// Begins the log anew after the entry at `index` with `term`, durably: what an installed snapshot does, and a start
    /// whose store is ahead of its log.
    ///
    /// # Errors
    /// As [`LogWriter::append`]; [`Error::Misuse`] if the log reaches that far already.
    pub fn reset(&mut self, index: LogIndex, term: Term) -> Result<(), Error> {
        self.check_sound()?;
        if index <= self.last.0 {
            return Err(Error::Misuse(format!(
                "the log ends at {}, it cannot begin after {index}",
                self.last.0
            )));
        }
        self.sync()?;
        let bytes = record::BATCH_RECORD_BYTES + (RECORD_OVERHEAD + 16) as u64;
        self.make_room(bytes)?;
        let base = (index, term);
        self.seal_start(base, bytes).map_err(|error| self.poison(error))?;
        self.write_buffer().map_err(|error| self.poison(error))?;
        self.last = base;
        self.shared.restart(base);
        self.sync()
    }

    /// Whether the segment after this one could not be reserved: only what frees space should be taken until it could.
    #[must_use]
    pub fn is_short_of_space(&self) -> bool {
        self.is_short_of_space
    }

    /// How much of the log's files is synced.
    #[must_use]
    pub fn synced_position(&self) -> LogPosition {
        self.synced
    }

    /// A reader.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.shared.clone())
    }

    fn check_sound(&self) -> Result<(), Error> {
        if self.is_poisoned { Err(Error::Poisoned { what: "the log" }) } else { Ok(()) }
    }

    fn poison(&mut self, error: Error) -> Error {
        self.is_poisoned = true;
        error
    }

    fn begin_batch(&mut self, bytes: u64) -> Result<(), Error> {
        self.buffer.clear();
        self.batches = self.batches.wrapping_add(1);
        let payload = record::encode_batch(self.batches, bytes);
        self.current.sealer.seal(record::BATCH, &[&payload], &mut self.buffer)?;
        Ok(())
    }

    fn seal_batch(&mut self, batch: &LogBatch<'_>) -> Result<(), Error> {
        self.begin_batch(batch.bytes())?;
        let Self { current: Current { sealer, .. }, buffer, positions, .. } = self;
        if let Some(state) = batch.hard_state {
            sealer.seal(record::HARD_STATE, &[&record::encode_hard_state(state)], buffer)?;
        }
        positions.clear();
        for entry in batch.entries {
            let at = sealer.seal(record::ENTRY, &[&record::encode_entry_head(entry), &entry.data], buffer)?;
            positions
                .push(u32::try_from(at).map_err(|_| Error::Misuse("a segment beyond 4 GiB".to_owned()))?);
        }
        for intent in batch.audit {
            sealer.seal(record::AUDIT, &[intent], buffer)?;
        }
        assert_eq!(buffer.len() as u64, batch.bytes(), "a batch has the bytes that its first record says");
        Ok(())
    }

    fn seal_start(&mut self, base: Base, bytes: u64) -> Result<(), Error> {
        self.begin_batch(bytes)?;
        self.current.sealer.seal(record::START, &[&record::encode_base(base)], &mut self.buffer)?;
        Ok(())
    }

    /// Writes what was sealed into the buffer at its place, which ends where the sealer stands.
    fn write_buffer(&mut self) -> Result<(), Error> {
        let Current { sealer, segment, .. } = &self.current;
        assert!(sealer.seals_with(&segment.key), "a segment is written by the sealer that began it");
        let start = sealer.position().saturating_sub(self.buffer.len() as u64);
        self.is_unsynced = true;
        Ok(segment.file.write_at(&self.buffer, start)?)
    }

    /// Has a current segment into which `bytes` fit. Out of space leaves everything as it was.
    fn make_room(&mut self, bytes: u64) -> Result<(), Error> {
        let needed = bytes.saturating_add(SEGMENT_OVERHEAD);
        if self.current.sealer.position().saturating_add(needed) <= self.current.capacity {
            return Ok(());
        }
        if needed > SEGMENT_BYTES_MAX {
            return Err(Error::Misuse(format!("a batch of {bytes} bytes does not fit into a segment")));
        }
        let capacity = self.options.segment_bytes.max(needed);
        let dir = self.shared.dir().clone();
        let reserved = match self.spare.take() {
            Some(spare) if spare.bytes >= capacity => spare,
            spare => {
                if let Some(spare) = spare {
                    spare.discard(&dir).map_err(|error| self.poison(error))?;
                }
                self.reserve(self.current.number.saturating_add(1), capacity)?
            }
        };
        self.rotate(&dir, &reserved).map_err(|error| self.poison(error))
    }

    fn reserve(&mut self, number: u32, bytes: u64) -> Result<Reserved, Error> {
        let mut reserved = create::reserve(self.shared.dir(), number, bytes);
        if matches!(reserved, Err(Error::NoSpace { .. })) && self.delete_superseded(Going::All)? {
            reserved = create::reserve(self.shared.dir(), number, bytes);
        }
        reserved.map_err(|error| match error {
            Error::NoSpace { .. } => {
                self.is_short_of_space = true;
                error
            }
            error => self.poison(error),
        })
    }

    /// Ends the current segment and begins the reserved one.
    fn rotate(&mut self, dir: &Dir, reserved: &Reserved) -> Result<(), Error> {
        // The end is sealed before the successor's head can name it; so the successor's key is made last.
        let Current { number, base, capacity, sealer, segment } = &mut self.current;
        let at = sealer.position();
        self.buffer.clear();
        let extent = sealer.end(&mut self.buffer)?;
        segment.file.write_at(&self.buffer, at)?;
        segment.file.sync_data()?;
        let head = Head { predecessor: (*number, extent), hard_state: self.hard_state, base: self.last };
        let old = Older { number: *number, base: *base, bytes: *capacity };
        let (sealer, segment) = reserved.begin(dir, &head, &mut self.buffer)?;
        let segment = Arc::new(segment);
        self.shared.opened(reserved.number, segment.clone());
        self.older.push_back(old);
        self.current =
            Current { number: reserved.number, base: self.last, capacity: reserved.bytes, sealer, segment };
        self.is_unsynced = false;
        self.synced = self.current.position();
        Ok(())
    }

    /// Tries again to reserve the next segment, after [`LogWriter::is_short_of_space`]; answers whether it still cannot.
    ///
    /// # Errors
    /// The disk's failure; no space is none.
    pub fn look_for_space(&mut self) -> Result<bool, Error> {
        self.check_sound()?;
        self.reserve_spare()?;
        Ok(self.is_short_of_space)
    }

    /// Reserves the next segment when this one is half full, so that a full disk shows while there is room to act.
    fn reserve_ahead(&mut self) -> Result<(), Error> {
        match self.current.sealer.position() <= self.current.capacity / 2 {
            true => Ok(()),
            false => self.reserve_spare(),
        }
    }

    fn reserve_spare(&mut self) -> Result<(), Error> {
        if self.spare.is_some() {
            return Ok(());
        }
        match self.reserve(self.current.number.saturating_add(1), self.options.segment_bytes) {
            Ok(spare) => {
                self.spare = Some(spare);
                self.is_short_of_space = false;
                Ok(())
            }
            Err(Error::NoSpace { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataDir, Identity, KeyFile, Log};
    use env::Env;
    use seal::Purpose;
    use std::path::Path;
    use types::{ClusterId, MemberId};

    /// A segment takes nothing from a sealer that did not begin it: its nonces are not known to be unused.
    #[test]
    #[should_panic(expected = "written by the sealer that began it")]
    fn a_segment_takes_nothing_from_another_sealer() {
        let (env, ..) = Env::simulated(1);
        let identity = Identity { cluster: ClusterId(1), member: MemberId(1) };
        let key = KeyFile::create(&*env.disk, Path::new("/"), &*env.random).unwrap();
        let dir = DataDir::create(&env, Path::new("/data"), identity, &key).unwrap();
        let (mut writer, ..) = Log::open(&dir, LogOptions::default()).unwrap();
        let keyring = &dir.dir.keyring;
        writer.current.sealer =
            Sealer::begin(keyring, Purpose::Log, 1, &*env.random, &mut Vec::new()).unwrap();
        let audit = [Bytes::from_static(b"intent")];
        let _ = writer.append(LogBatch { audit: &audit, ..LogBatch::default() });
    }
}
