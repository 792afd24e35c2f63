//! The store's writer.

use super::checkpoint::{self, Checkpoint, Ledger, PendingCheckpoint, SupersededFiles};
use super::read::{Shared, StoreReader};
use super::replay::{self, Gather};
use super::rewrite::{Indexed, Indexing, Replaced, Rewriting, Rewritten};
use super::segment::Segment;
use super::{Position, RecordKind, SegmentNumber, StoreOptions};
use crate::dir::Dir;
use crate::file::SegmentFile;
use crate::manifest::{Chosen, Listed, Manifest};
use crate::{DataDir, Error, names};
use bytes::Bytes;
use seal::{END_RECORD_BYTES, Extent, HEADER_BYTES, Purpose, RECORD_BYTES_MAX, RECORD_OVERHEAD, Sealer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use types::limits::{STORE_RESERVE_BYTES, STORE_ROOM_BYTES, STORE_ROOM_PART_OF_SEGMENT};

/// The segment being written.
#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    sealer: Sealer,
    capacity: u64,
}

/// How much of a segment there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentUse {
    /// Which.
    pub number: SegmentNumber,
    /// Its bytes.
    pub bytes: u64,
    /// Its records.
    pub records: u64,
    /// Whether it is still written to.
    pub is_active: bool,
    /// Whether it has an index.
    pub is_indexed: bool,
}

/// The store's one writer.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
    options: StoreOptions,
    /// Segments that are not written to any more, in the order of their records.
    closed: Vec<Listed>,
    active: Option<Active>,
    next_segment: u32,
    checkpoints: u64,
    /// Files that earlier lives left behind, until they are deleted.
    leftovers: Option<Vec<PathBuf>>,
}

impl Store {
    /// Opens the store of a data directory as its manifest says, and changes nothing in it. Records are authenticated when
    /// they are scanned or read.
    ///
    /// # Errors
    /// Damage, the disk's failure.
    pub fn open(dir: &DataDir, options: StoreOptions) -> Result<Self, Error> {
        let DataDir { dir, chosen: Chosen { manifest, generations, .. } } = dir;
        // The generation before stays usable until the next checkpoint: so do its files.
        let older = generations.iter().rev().find(|generation| **generation < manifest.generation);
        let older = older.and_then(|generation| Manifest::read(dir, *generation).ok()).unwrap_or_default();
        let (leftovers, next_segment) = leftovers(dir, manifest, &older)?;
        let listed = manifest.numbers();
        let only_older = older.segments.iter().filter(|older| !listed.contains(&older.number));
        let only_older = only_older.flat_map(|older| checkpoint::files_of(dir, older)).collect();
        let mut segments = BTreeMap::new();
        for Listed { number, extent, .. } in &manifest.segments {
            let path = names::store_segment(&dir.path, *number);
            let purpose = Purpose::Store;
            let file = SegmentFile::open(&*dir.env.disk, &dir.keyring, purpose, (*number).into(), &path)?;
            segments.insert(*number, Arc::new(Segment::inherited(*number, file, extent.length)));
        }
        Ok(Self {
            shared: Arc::new(Shared::new(dir.clone(), segments)),
            ledger: Arc::new(Ledger::new(dir, manifest.clone(), generations, only_older)),
            options,
            closed: manifest.segments.clone(),
            active: None,
            next_segment,
            checkpoints: 0,
            leftovers: Some(leftovers),
        })
    }

    /// Gives back the space of what earlier lives left behind and no manifest lists; once, and before this life's first file is
    /// made if nobody asks earlier.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn discard_leftovers(&mut self) -> Result<(), Error> {
        let Some(leftovers) = self.leftovers.take() else { return Ok(()) };
        for path in leftovers {
            self.shared.dir.env.disk.remove(&path)?;
        }
        self.closed
            .iter()
            .try_for_each(|listed| self.shared.segment(listed.number)?.cut(listed.extent.length))
    }

    /// Appends a record; readable at once, durable with the next checkpoint.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Misuse`] or a payload too large: nothing was written, the store goes on. Else the store is
    /// poisoned.
    pub fn append(&mut self, kind: RecordKind, payload: &[u8]) -> Result<Position, Error> {
        self.shared.check_sound()?;
        if kind.0 == 0 || kind.0 == u8::MAX {
            return Err(Error::Misuse(format!("record kind {} is reserved", kind.0)));
        }
        if payload.len() > RECORD_BYTES_MAX {
            return Err(seal::Error::TooLarge { bytes: payload.len(), limit: RECORD_BYTES_MAX }.into());
        }
        let needed = (payload.len() + RECORD_OVERHEAD + END_RECORD_BYTES) as u64;
        self.have_room(needed, 0)?;
        let buffer_bytes = self.options.buffer_bytes;
        let Some(Active { segment, sealer, .. }) = &mut self.active else {
            return Err(Error::Misuse("no segment to append to".to_owned()));
        };
        segment.append(sealer, kind, payload, buffer_bytes).map_err(|error| self.shared.poison(error))
    }

    /// Has room for records of `bytes` and a little more in the segment that is written to, in a new one if need be; leaves
    /// something of the disk to checkpoints, by which a full one may come to have room.
    ///
    /// # Errors
    /// [`Error::NoSpace`]: everything is as before. Else the store is poisoned.
    pub fn make_room(&mut self, bytes: usize) -> Result<(), Error> {
        self.shared.check_sound()?;
        let part = self.options.segment_bytes / STORE_ROOM_PART_OF_SEGMENT;
        self.have_room(
            (bytes as u64).saturating_add(STORE_ROOM_BYTES.min(part)),
            STORE_RESERVE_BYTES.min(part),
        )
    }

    fn have_room(&mut self, needed: u64, left: u64) -> Result<(), Error> {
        let fits = |active: &Active| active.sealer.position().saturating_add(needed) <= active.capacity;
        if self.active.as_ref().is_some_and(fits) { Ok(()) } else { self.rotate(needed, left) }
    }

    /// What deletes superseded files before their time, from any thread.
    #[must_use]
    pub fn superseded_files(&self) -> SupersededFiles {
        SupersededFiles::new(self.shared.clone(), self.ledger.clone())
    }

    /// A reader.
    #[must_use]
    pub fn reader(&self) -> StoreReader {
        StoreReader::new(self.shared.clone())
    }

    /// Visits all records in the order in which they were appended; each is authenticated before it is handed out, but
    /// only an end without error says that none is missing.
    ///
    /// # Errors
    /// Damage, the disk's failure, the visitor's.
    pub fn scan<E: From<Error>>(
        &self,
        mut visit: impl FnMut(Position, RecordKind, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        self.listed().try_for_each(|l| self.shared.segment(l.number)?.scan(&l.extent, &mut visit))
    }

    /// What is in the segments: each is gathered for itself, from its index where it has one, on as many threads as there are
    /// processors; what was gathered is handed to `take` oldest first. An index that cannot be read is passed over and
    /// forgotten, its segment is read instead, and `passed_over` hears why.
    ///
    /// # Errors
    /// Damage, the disk's failure, a refusal: the first of them in the order of segments.
    pub fn replay<G: Gather>(
        &mut self,
        mut passed_over: impl FnMut(Error),
        mut take: impl FnMut(G) -> Result<(), G::Error>,
    ) -> Result<(), G::Error> {
        let listed: Vec<_> = self.listed().collect();
        let closed = &mut self.closed;
        replay::replay(&self.shared, &listed, |number, index_damage, gathered| {
            if let Some(why) = index_damage {
                closed.iter_mut().filter(|listed| listed.number == number).for_each(|l| l.index = None);
                passed_over(why);
            }
            take(gathered)
        })
    }

    /// All segments as a manifest made now would list them.
    fn listed(&self) -> impl Iterator<Item = Listed> {
        let active = self.active.iter().map(|Active { segment, sealer, .. }| Listed {
            number: segment.number,
            extent: sealer.extent(),
            index: None,
        });
        self.closed.iter().cloned().chain(active)
    }

    /// The last checkpoint that is durable.
    #[must_use]
    pub fn last_checkpoint(&self) -> Checkpoint {
        self.ledger.last_checkpoint()
    }

    /// Prepares to make everything appended durable under a new manifest. What waits for the disk is in
    /// [`PendingCheckpoint::run`], for another thread; appending may go on meanwhile.
    ///
    /// # Errors
    /// The disk's failure; the store is poisoned.
    pub fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<PendingCheckpoint, Error> {
        self.shared.check_sound()?;
        if let Some(active) = &self.active {
            active.segment.flush().map_err(|error| self.shared.poison(error))?;
        }
        let segments = self.listed().collect();
        self.checkpoints = self.checkpoints.wrapping_add(1);
        let manifest = Manifest { generation: 0, checkpoint, next_segment: self.next_segment, segments };
        Ok(PendingCheckpoint::new(self.shared.clone(), self.ledger.clone(), self.checkpoints, manifest))
    }

    /// All segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentUse> {
        let describe = |number, Extent { length, records, .. }: Extent, is_active, is_indexed| SegmentUse {
            number: SegmentNumber(number),
            bytes: length,
            records,
            is_active,
            is_indexed,
        };
        let closed = self.closed.iter();
        let closed = closed.map(|l| describe(l.number, l.extent, false, l.index.is_some()));
        let active = self.active.iter();
        let active = active.map(|a| describe(a.segment.number, a.sealer.extent(), true, false));
        closed.chain(active).collect()
    }

    /// Begins to write anew what is still wanted of a run of closed segments that follow each other; another thread may
    /// go on with it.
    ///
    /// # Errors
    /// [`Error::Misuse`] if they are not such a run; [`Error::NoSpace`], the disk's failure.
    pub fn rewrite(&mut self, run: &[SegmentNumber]) -> Result<Rewriting, Error> {
        self.shared.check_sound()?;
        let at = self.place_of(run)?;
        let sources = self.closed.get(at..).unwrap_or_default().iter().take(run.len());
        let sources = sources.map(|listed| Ok((self.shared.segment(listed.number)?, listed.extent)));
        let sources = sources.collect::<Result<Vec<_>, Error>>()?;
        self.discard_leftovers()?;
        let number = self.take_number()?;
        Rewriting::begin(self.shared.clone(), number, sources, self.options.buffer_bytes)
    }

    /// Puts what was written anew in the place of its run: checkpoints list it from now on. The run can be read until it
    /// is retired.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the run is not there any more.
    pub fn replace(&mut self, rewritten: Rewritten) -> Result<Replaced, Error> {
        let Rewritten { run, listed } = rewritten;
        let at = self.place_of(&run)?;
        self.closed.splice(at..at + run.len(), listed);
        Ok(Replaced { run })
    }

    /// Lets go of segments that were replaced: they cannot be read from now on, and their files are deleted when no kept
    /// manifest lists them.
    pub fn retire(&mut self, replaced: &Replaced) {
        let mut segments = self.shared.segments_mut();
        replaced.run.iter().for_each(|number| drop(segments.remove(&number.0)));
    }

    /// Begins the index of a closed segment that has none; another thread may write it.
    ///
    /// # Errors
    /// [`Error::Misuse`] if there is no such segment; [`Error::NoSpace`], the disk's failure.
    pub fn index(&mut self, segment: SegmentNumber) -> Result<Indexing, Error> {
        self.discard_leftovers()?;
        let listed = self.closed.iter().find(|listed| listed.number == segment.0 && listed.index.is_none());
        let listed = listed.ok_or_else(|| Error::Misuse(format!("{segment:?} needs no index")))?;
        let source = (self.shared.segment(listed.number)?, listed.extent);
        Indexing::begin(self.shared.clone(), source, self.options.buffer_bytes)
    }

    /// Lists an index from the next checkpoint on. One whose segment was replaced meanwhile is deleted with the next start.
    pub fn put_index(&mut self, indexed: Indexed) {
        if let Some(listed) = self.closed.iter_mut().find(|listed| listed.number == indexed.number) {
            listed.index = Some(indexed.extent);
        }
    }

    /// Where a run stands among the closed segments.
    fn place_of(&self, run: &[SegmentNumber]) -> Result<usize, Error> {
        let begins = |window: &[Listed]| {
            window.iter().map(|listed| SegmentNumber(listed.number)).eq(run.iter().copied())
        };
        let place = if run.is_empty() { None } else { self.closed.windows(run.len()).position(begins) };
        place.ok_or_else(|| Error::Misuse(format!("{run:?} is no run of closed segments")))
    }

    fn take_number(&mut self) -> Result<u32, Error> {
        let number = self.next_segment;
        let next = number.checked_add(1);
        self.next_segment =
            next.ok_or_else(|| Error::Misuse("the store's segment numbers are used up".to_owned()))?;
        Ok(number)
    }

    /// Has a new segment into which `needed` bytes fit; one of less than the usual size leaves so much of the disk free. Out of space
    /// leaves everything as it was.
    fn rotate(&mut self, needed: u64, left: u64) -> Result<(), Error> {
        self.discard_leftovers()?;
        let number = self.take_number()?;
        let least = needed.saturating_add(HEADER_BYTES as u64);
        let mut capacity = self.options.segment_bytes.max(least);
        let dir = &self.shared.dir;
        let make = |bytes| Segment::create(dir, Purpose::Store, number, bytes, self.options.buffer_bytes);
        let mut made = make(capacity);
        if matches!(made, Err(Error::NoSpace { .. })) && self.ledger.free_superseded(dir) {
            made = make(capacity);
        }
        // On a nearly full disk a smaller one carries what frees space; not the largest that fits, as the log needs some too.
        while matches!(made, Err(Error::NoSpace { .. })) && capacity > least {
            capacity = (capacity / 8).max(least);
            if dir.env.disk.free_bytes(&dir.path).is_ok_and(|free| free >= capacity.saturating_add(left)) {
                made = make(capacity);
            }
        }
        let (segment, sealer) = made.map_err(|error| match error {
            Error::NoSpace { .. } => error,
            error => self.shared.poison(error),
        })?;
        if let Some(Active { segment, mut sealer, .. }) = self.active.take() {
            let extent = segment.end(&mut sealer).map_err(|error| self.shared.poison(error))?;
            self.closed.push(Listed { number: segment.number, extent, index: None });
        }
        let segment = Arc::new(segment);
        self.shared.segments_mut().insert(number, segment.clone());
        self.active = Some(Active { segment, sealer, capacity });
        Ok(())
    }
}

/// Every file that neither manifest lists, replacements that were cut short among them, and the first segment number that was
/// never used.
fn leftovers(dir: &Dir, manifest: &Manifest, older: &Manifest) -> Result<(Vec<PathBuf>, u32), Error> {
    let disk = &*dir.env.disk;
    let temporary = disk.list(&dir.path)?.into_iter().filter(|name| names::is_temporary(name));
    let mut leftovers: Vec<_> = temporary.map(|name| dir.path.join(name)).collect();
    let below = dir.path.join(names::STORE);
    let mut next = manifest.next_segment;
    for name in disk.list(&below)? {
        let index = names::parse_store_index(&name);
        let number = index.or_else(|| names::parse_store_segment(&name));
        let number = number.ok_or_else(|| Error::Inconsistent {
            path: below.join(&name),
            why: "it does not belong there; hint: move it away".to_owned(),
        })?;
        next = next.max(number.saturating_add(1));
        let lists = |manifest: &Manifest| {
            manifest.listed(number).is_some_and(|listed| index.is_none() || listed.index.is_some())
        };
        if !lists(manifest) && !lists(older) {
            leftovers.push(below.join(&name));
        }
    }
    Ok((leftovers, next))
}
