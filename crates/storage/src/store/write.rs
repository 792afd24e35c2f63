//! The store's writer.

use super::checkpoint::{Checkpoint, Ledger, PendingCheckpoint};
use super::read::{Shared, StoreReader};
use super::segment::Segment;
use super::{Position, RecordKind, SegmentNumber, StoreOptions};
use crate::dir::Dir;
use crate::file::SegmentFile;
use crate::manifest::{Chosen, Manifest};
use crate::{DataDir, Error, names};
use bytes::Bytes;
use seal::{END_RECORD_BYTES, Extent, HEADER_BYTES, Purpose, RECORD_BYTES_MAX, RECORD_OVERHEAD, Sealer};
use std::collections::BTreeMap;
use std::sync::Arc;

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
}

/// The store's one writer.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
    options: StoreOptions,
    /// Segments that are not written to any more.
    closed: BTreeMap<u32, Extent>,
    active: Option<Active>,
    next_segment: u32,
    checkpoints: u64,
}

impl Store {
    /// Opens the store of a data directory as its manifest says; what is beyond it is discarded. Records are
    /// authenticated when they are scanned or read.
    ///
    /// # Errors
    /// Damage, the disk's failure.
    pub fn open(dir: &DataDir, options: StoreOptions) -> Result<Self, Error> {
        let DataDir { dir, chosen: Chosen { manifest, generations, .. } } = dir;
        // The generation before stays usable until the next checkpoint: so do its files.
        let older = generations.iter().rev().find(|generation| **generation < manifest.generation);
        let older = older.and_then(|generation| Manifest::read(dir, *generation).ok()).unwrap_or_default();
        let next_segment = discard_unlisted(dir, manifest, &older)?;
        let only_older = older.segments.keys().filter(|number| !manifest.segments.contains_key(number));
        let only_older = only_older.map(|number| names::store_segment(&dir.path, *number)).collect();
        let mut segments = BTreeMap::new();
        for (number, extent) in &manifest.segments {
            let path = names::store_segment(&dir.path, *number);
            let purpose = Purpose::Store;
            let file = SegmentFile::open(&*dir.env.disk, &dir.keyring, purpose, (*number).into(), &path)?;
            let segment = Segment::inherited(*number, file, extent.length);
            segment.cut(extent.length)?;
            segments.insert(*number, Arc::new(segment));
        }
        Ok(Self {
            shared: Arc::new(Shared::new(dir.clone(), segments)),
            ledger: Arc::new(Ledger::new(dir, manifest.clone(), generations, only_older)),
            options,
            closed: manifest.segments.clone(),
            active: None,
            next_segment,
            checkpoints: 0,
        })
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
        let fits = |active: &Active| active.sealer.position().saturating_add(needed) <= active.capacity;
        if !self.active.as_ref().is_some_and(fits) {
            self.rotate(needed)?;
        }
        let buffer_bytes = self.options.buffer_bytes;
        let Some(Active { segment, sealer, .. }) = &mut self.active else {
            return Err(Error::Misuse("no segment to append to".to_owned()));
        };
        segment.append(sealer, kind, payload, buffer_bytes).map_err(|error| self.shared.poison(error))
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
        let segments: Vec<_> = self.shared.segments().values().cloned().collect();
        for segment in segments {
            let active = self.active.as_ref().filter(|active| active.segment.number == segment.number);
            let extent = active.map(|active| active.sealer.extent());
            if let Some(extent) = extent.or_else(|| self.closed.get(&segment.number).copied()) {
                segment.scan(&extent, &mut visit)?;
            }
        }
        Ok(())
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
        let mut segments = self.closed.clone();
        if let Some(active) = &self.active {
            active.segment.flush().map_err(|error| self.shared.poison(error))?;
            segments.insert(active.segment.number, active.sealer.extent());
        }
        self.checkpoints = self.checkpoints.wrapping_add(1);
        let manifest = Manifest { generation: 0, checkpoint, next_segment: self.next_segment, segments };
        Ok(PendingCheckpoint::new(self.shared.clone(), self.ledger.clone(), self.checkpoints, manifest))
    }

    /// All segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentUse> {
        let describe = |number: u32, Extent { length, records, .. }: Extent, is_active| SegmentUse {
            number: SegmentNumber(number),
            bytes: length,
            records,
            is_active,
        };
        let closed = self.closed.iter().map(|(number, extent)| describe(*number, *extent, false));
        let active =
            self.active.iter().map(|active| describe(active.segment.number, active.sealer.extent(), true));
        closed.chain(active).collect()
    }

    /// Drops a whole segment none of whose records is wanted any more: it cannot be read from now on, the next checkpoint
    /// does not list it, and its file is deleted when no kept manifest does.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it is unknown or still written to.
    pub fn remove_segment(&mut self, segment: SegmentNumber) -> Result<(), Error> {
        if self.closed.remove(&segment.0).is_none() {
            return Err(Error::Misuse(format!("segment {} cannot be removed", segment.0)));
        }
        self.shared.segments_mut().remove(&segment.0);
        Ok(())
    }

    /// Has a new segment into which `needed` bytes fit. Out of space leaves everything as it was.
    fn rotate(&mut self, needed: u64) -> Result<(), Error> {
        let dir = self.shared.dir.clone();
        let number = self.next_segment;
        let next = number.checked_add(1);
        let next = next.ok_or_else(|| Error::Misuse("the store's segment numbers are used up".to_owned()))?;
        let capacity = self.options.segment_bytes.max(needed.saturating_add(HEADER_BYTES as u64));
        let path = names::store_segment(&dir.path, number);
        let file = dir.env.disk.create(&path, capacity).map_err(|error| {
            if error.is_no_space() {
                Error::NoSpace { path: path.clone(), bytes: capacity }
            } else {
                self.shared.poison(error.into())
            }
        })?;
        if let Some(Active { segment, mut sealer, .. }) = self.active.take() {
            let extent = segment.end(&mut sealer).map_err(|error| self.shared.poison(error))?;
            self.closed.insert(segment.number, extent);
        }
        let mut buffer = Vec::with_capacity(self.options.buffer_bytes);
        let sealer =
            Sealer::begin(&dir.keyring, Purpose::Store, number.into(), &*dir.env.random, &mut buffer);
        let sealer = sealer.map_err(|error| self.shared.poison(error.into()))?;
        let file = SegmentFile { path, file, key: sealer.key() };
        let segment = Arc::new(Segment::new(number, file, buffer));
        self.shared.segments_mut().insert(number, segment.clone());
        self.active = Some(Active { segment, sealer, capacity });
        self.next_segment = next;
        Ok(())
    }
}

/// Deletes every store file that neither manifest lists; answers the first number that was never used.
fn discard_unlisted(dir: &Dir, manifest: &Manifest, older: &Manifest) -> Result<u32, Error> {
    let below = dir.path.join(names::STORE);
    let mut next = manifest.next_segment;
    for name in dir.env.disk.list(&below)? {
        let number = names::parse_store_segment(&name).ok_or_else(|| Error::Inconsistent {
            path: below.join(&name),
            why: "it does not belong there; hint: move it away".to_owned(),
        })?;
        next = next.max(number.saturating_add(1));
        if !manifest.segments.contains_key(&number) && !older.segments.contains_key(&number) {
            dir.env.disk.remove(&below.join(&name))?;
        }
    }
    Ok(next)
}
