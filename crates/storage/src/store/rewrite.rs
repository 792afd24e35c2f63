//! Writing anew what is still wanted of some segments: how the store gives space back.
//!
//! Owns the new segment and its index while they are written, by a thread of its own if the caller likes. Records are copied in
//! the order in which they stand, so the store's order stays; what is wanted is the caller's to say. The run stays as it
//! is until the new segment is durable and takes its place, so a stop at any moment loses nothing.
//!
//! A segment's index holds what a start needs of its records, in fewer bytes (docs/formats/store.md). It can always be
//! made from the segment, so one that is lost or damaged costs time, never data.

use super::read::Shared;
use super::segment::Segment;
use super::{Position, RecordKind, SegmentNumber};
use crate::dir::Dir;
use crate::manifest::Listed;
use crate::{Error, names};
use bytes::Bytes;
use seal::{Extent, Purpose, RECORD_BYTES_MAX, Sealer};
use std::sync::Arc;
use types::limits::STORE_SYNC_BYTES;

/// A file that is being written.
#[derive(Debug)]
struct Growing {
    segment: Segment,
    sealer: Sealer,
    buffer_bytes: usize,
    /// Bytes that are synced.
    synced: u64,
}

impl Growing {
    fn create(dir: &Dir, purpose: Purpose, number: u32, buffer_bytes: usize) -> Result<Self, Error> {
        let (segment, sealer) = Segment::create(dir, purpose, number, 0, buffer_bytes)?;
        Ok(Self { segment, sealer, buffer_bytes, synced: 0 })
    }

    fn append(&mut self, kind: RecordKind, payload: &[u8]) -> Result<Position, Error> {
        if payload.len() > RECORD_BYTES_MAX {
            return Err(seal::Error::TooLarge { bytes: payload.len(), limit: RECORD_BYTES_MAX }.into());
        }
        let position =
            self.segment.append(&mut self.sealer, kind, payload, self.buffer_bytes).map_err(no_space)?;
        let written = self.segment.written();
        if written.saturating_sub(self.synced) >= STORE_SYNC_BYTES {
            // One sync of all would keep the disk from the log's for as long.
            self.segment.sync(written).map_err(no_space)?;
            self.synced = written;
        }
        Ok(position)
    }

    /// Ends it, durably but for its name.
    fn end(mut self) -> Result<(Segment, Extent), Error> {
        let extent = self.segment.end(&mut self.sealer).map_err(no_space)?;
        self.segment.sync(extent.length).map_err(no_space)?;
        Ok((self.segment, extent))
    }
}

/// Out of space is no failure of the disk: these files are new, and nothing needs them yet.
fn no_space(error: Error) -> Error {
    match error {
        Error::Disk(error) if error.is_no_space() => Error::NoSpace { path: error.path, bytes: 0 },
        error => error,
    }
}

/// Segments being written anew.
#[derive(Debug)]
#[must_use = "its files take space until it is finished or abandoned"]
pub struct Rewriting {
    shared: Arc<Shared>,
    sources: Vec<(Arc<Segment>, Extent)>,
    target: Growing,
    index: Growing,
    records: u64,
}

impl Rewriting {
    pub(super) fn begin(
        shared: Arc<Shared>,
        number: u32,
        sources: Vec<(Arc<Segment>, Extent)>,
        buffer_bytes: usize,
    ) -> Result<Self, Error> {
        let target = Growing::create(&shared.dir, Purpose::Store, number, buffer_bytes)?;
        let index = Growing::create(&shared.dir, Purpose::Index, number, buffer_bytes)?;
        Ok(Self { shared, sources, target, index, records: 0 })
    }

    /// Visits the records of the run in their order; the visitor copies what is wanted with [`Rewriting::append`] and
    /// says what a start needs of it with [`Rewriting::index`]. The visitor may take its time.
    ///
    /// # Errors
    /// Damage, the disk's failure, the visitor's. Abandon it then.
    pub fn copy<E: From<Error>>(
        &mut self,
        mut visit: impl FnMut(&mut Self, Position, RecordKind, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        for (source, extent) in self.sources.clone() {
            source.scan(&extent, &mut |at, kind, payload| visit(self, at, kind, payload))?;
        }
        Ok(())
    }

    /// Appends a record; answers where it will be read once this is finished.
    ///
    /// # Errors
    /// [`Error::NoSpace`], a payload too large, the disk's failure.
    pub fn append(&mut self, kind: RecordKind, payload: &[u8]) -> Result<Position, Error> {
        self.records = self.records.saturating_add(1);
        self.target.append(kind, payload)
    }

    /// Adds an entry to the new segment's index.
    ///
    /// # Errors
    /// As [`Rewriting::append`].
    pub fn index(&mut self, kind: RecordKind, payload: &[u8]) -> Result<(), Error> {
        self.index.append(kind, payload).map(drop)
    }

    /// Makes it durable and readable. Nothing lists it before [`super::Store::replace`].
    ///
    /// # Errors
    /// [`Error::NoSpace`]: everything is as before, and the files are gone. The disk's failure.
    pub fn finish(self) -> Result<Rewritten, Error> {
        let run = self.sources.iter().map(|(source, _)| SegmentNumber(source.number)).collect();
        if self.records == 0 {
            self.abandon();
            return Ok(Rewritten { run, listed: None });
        }
        let Self { shared, target, index, .. } = self;
        let number = target.segment.number;
        let ended = target.end().and_then(|target| Ok((target, index.end()?)));
        let ((segment, extent), (_, index)) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                remove(&shared.dir, number);
                return Err(error);
            }
        };
        shared.dir.env.disk.sync_dir(&shared.dir.path.join(names::STORE))?;
        shared.segments_mut().insert(number, Arc::new(segment));
        Ok(Rewritten { run, listed: Some(Listed { number, extent, index: Some(index) }) })
    }

    /// Lets it be; everything is as before.
    pub fn abandon(self) {
        let number = self.target.segment.number;
        remove(&self.shared.dir, number);
    }
}

/// The index of a closed segment being written.
#[derive(Debug)]
#[must_use = "its file takes space until it is finished"]
pub struct Indexing {
    shared: Arc<Shared>,
    source: (Arc<Segment>, Extent),
    index: Growing,
}

impl Indexing {
    pub(super) fn begin(
        shared: Arc<Shared>,
        source: (Arc<Segment>, Extent),
        buffer_bytes: usize,
    ) -> Result<Self, Error> {
        let number = source.0.number;
        // One that was passed over at start is still there.
        let _ = shared.dir.env.disk.remove(&names::store_index(&shared.dir.path, number));
        let index = Growing::create(&shared.dir, Purpose::Index, number, buffer_bytes)?;
        Ok(Self { shared, source, index })
    }

    /// Visits the segment's records in their order; what the visitor answers becomes the entry.
    ///
    /// # Errors
    /// Damage, the disk's failure, the visitor's; [`Error::NoSpace`]: everything is as before, and the file is gone.
    pub fn write<E: From<Error>>(
        self,
        mut visit: impl FnMut(Position, RecordKind, &Bytes) -> Result<Vec<u8>, E>,
    ) -> Result<Indexed, E> {
        let Self { shared, source: (source, extent), mut index } = self;
        let number = source.number;
        let scanned = source.scan(&extent, &mut |at, kind, payload| {
            let entry = visit(at, kind, &payload)?;
            index.append(kind, &entry)?;
            Ok(())
        });
        let ended = scanned.and_then(|()| Ok(index.end()?));
        let sync_dir = || shared.dir.env.disk.sync_dir(&shared.dir.path.join(names::STORE));
        match ended
            .and_then(|(_, extent)| sync_dir().map(|()| extent).map_err(|error| Error::from(error).into()))
        {
            Ok(extent) => Ok(Indexed { number, extent }),
            Err(error) => {
                let _ = shared.dir.env.disk.remove(&names::store_index(&shared.dir.path, number));
                Err(error)
            }
        }
    }
}

/// An index that is durable and not listed yet.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing lists it until it is given to the store"]
pub struct Indexed {
    pub(super) number: u32,
    pub(super) extent: Extent,
}

/// Deletes files that nothing lists. What cannot be deleted only takes space: the next start deletes it.
fn remove(dir: &Dir, number: u32) {
    for path in [names::store_segment(&dir.path, number), names::store_index(&dir.path, number)] {
        let _ = dir.env.disk.remove(&path);
    }
}

/// A run written anew, durable and readable, and not yet in its place.
#[derive(Debug)]
#[must_use = "the run stays listed until it is replaced"]
pub struct Rewritten {
    pub(super) run: Vec<SegmentNumber>,
    /// Nothing was wanted: nothing takes the run's place.
    pub(super) listed: Option<Listed>,
}

/// Segments that nothing will list, but that can still be read.
#[derive(Debug)]
#[must_use = "they take space until they are retired"]
pub struct Replaced {
    pub(super) run: Vec<SegmentNumber>,
}
