//! The store's readers, and what they share with the writer.

use super::segment::Segment;
use super::{Position, RecordKind};
use crate::dir::Dir;
use crate::{Error, names};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What writer, readers and checkpoints share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: Arc<Dir>,
    segments: RwLock<BTreeMap<u32, Arc<Segment>>>,
    is_poisoned: AtomicBool,
}

impl Shared {
    pub(super) fn new(dir: Arc<Dir>, segments: BTreeMap<u32, Arc<Segment>>) -> Self {
        Self { dir, segments: RwLock::new(segments), is_poisoned: AtomicBool::new(false) }
    }

    pub(super) fn segments(&self) -> RwLockReadGuard<'_, BTreeMap<u32, Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segments_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<u32, Arc<Segment>>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment that can be read.
    pub(super) fn segment(&self, number: u32) -> Result<Arc<Segment>, Error> {
        let segment = self.segments().get(&number).cloned();
        segment.ok_or_else(|| Error::Inconsistent {
            path: names::store_segment(&self.dir.path, number),
            why: format!("the store has no segment {number}"),
        })
    }

    pub(super) fn check_sound(&self) -> Result<(), Error> {
        if self.is_poisoned.load(Ordering::Acquire) {
            Err(Error::Poisoned { what: "the store" })
        } else {
            Ok(())
        }
    }

    pub(super) fn poison(&self, error: Error) -> Error {
        self.is_poisoned.store(true, Ordering::Release);
        error
    }
}

/// Reads records, from any thread.
#[derive(Clone, Debug)]
pub struct StoreReader {
    shared: Arc<Shared>,
}

impl StoreReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Reads the record at a position; what is answered is authenticated.
    ///
    /// # Errors
    /// Nothing there (any more), damage, the disk's failure.
    pub fn read(&self, position: Position) -> Result<(RecordKind, Bytes), Error> {
        self.shared.segment(position.segment().0)?.read(position.offset())
    }

    /// Bytes of all segments, history and dead records included.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.shared.segments().values().map(|segment| segment.bytes()).sum()
    }
}
