//! The store.

use crate::{DataDir, Error};
use bytes::Bytes;
use std::fmt;
use types::{LogIndex, Term};

/// What a record is: the caller's number, 1 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordKind(pub u8);

/// Where a record is: its segment and its place in it. Grows with every append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

/// A segment of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(pub u32);

impl Position {
    /// Its eight bytes, for whoever keeps many.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }
    /// From [`Position::to_bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
    /// The segment it is in.
    #[must_use]
    pub fn segment(self) -> SegmentNumber {
        SegmentNumber((self.0 >> 32) as u32)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} byte {}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// Sizes of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Bytes of one segment file.
    pub segment_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// What the records up to here mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last entry whose effects are in the store.
    pub consistent_index: LogIndex,
    /// Its term.
    pub term: Term,
    /// The configuration of consensus at that entry; opaque.
    pub conf_state: Bytes,
    /// The hash over effects; opaque.
    pub state_hash: u32,
    /// Whatever the rooms above want to find again.
    pub meta: Bytes,
}

/// What a checkpoint made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The manifest's number.
    pub generation: u64,
    /// The last entry whose effects are durable.
    pub consistent_index: LogIndex,
    /// The log may be released below this: even the manifest before this one does not need it.
    pub release_below: LogIndex,
}

/// The store's one writer.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Opens the store of a data directory as its manifest says; what is beyond it is discarded.
    ///
    /// # Errors
    /// Damage, the disk's failure.
    pub fn open(dir: &DataDir, options: StoreOptions) -> Result<Self, Error> {
        let _ = (dir, options);
        panic!("not there yet")
    }
    /// Appends a record; readable at once, durable with the next checkpoint.
    ///
    /// # Errors
    /// [`Error::NoSpace`]: nothing was written. Else the store is poisoned.
    pub fn append(&mut self, kind: RecordKind, payload: &[u8]) -> Result<Position, Error> {
        let _ = (kind, payload);
        panic!("not there yet")
    }
    /// A reader.
    #[must_use]
    pub fn reader(&self) -> StoreReader {
        panic!("not there yet")
    }
    /// Visits all live records in order.
    ///
    /// # Errors
    /// Damage, the disk's failure, the visitor's.
    pub fn scan<E: From<Error>>(
        &self,
        visit: impl FnMut(Position, RecordKind, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let _ = visit;
        panic!("not there yet")
    }
    /// What the manifest says.
    #[must_use]
    pub fn last_checkpoint(&self) -> Checkpoint {
        panic!("not there yet")
    }
    /// Prepares to make everything appended durable. The waiting is in [`PendingCheckpoint::run`].
    ///
    /// # Errors
    /// The disk's failure; the store is poisoned.
    pub fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<PendingCheckpoint, Error> {
        let _ = checkpoint;
        panic!("not there yet")
    }
    /// Drops a whole segment, none of whose records is wanted any more, from the next checkpoint on.
    ///
    /// # Errors
    /// The segment is unknown or still written to.
    pub fn remove_segment(&mut self, segment: SegmentNumber) -> Result<(), Error> {
        let _ = segment;
        panic!("not there yet")
    }
}

/// A checkpoint that is prepared; another thread runs it.
#[derive(Debug)]
#[must_use = "nothing is durable until it has run"]
pub struct PendingCheckpoint {}

impl PendingCheckpoint {
    /// Writes, syncs, replaces the manifest.
    ///
    /// # Errors
    /// The disk's failure; the store is poisoned.
    pub fn run(self) -> Result<Durable, Error> {
        panic!("not there yet")
    }
}

/// Reads records, from any thread.
#[derive(Clone, Debug)]
pub struct StoreReader {}

impl StoreReader {
    /// Reads the record at a position.
    ///
    /// # Errors
    /// Nothing there, damage, the disk's failure.
    pub fn read(&self, position: Position) -> Result<(RecordKind, Bytes), Error> {
        let _ = position;
        panic!("not there yet")
    }
    /// Bytes of all segments.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        panic!("not there yet")
    }
}
