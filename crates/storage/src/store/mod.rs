//! The store: records appended and read back by position, in sealed segments (docs/formats/store.md).
//!
//! Owns the segments, the buffer of what is not written yet, and the checkpoint that makes everything up to a moment
//! durable. The raft log is what makes single writes durable; the store is brought up to date from it after a crash, so
//! whatever lies past the manifest is discarded at start. Never interprets a payload.
//!
//! Invariants:
//! - there is one writer; a segment is written by one life of one process;
//! - a record can be read as soon as its append returned, from memory or from the disk;
//! - the manifest is replaced only after every byte that it lists is synced;
//! - a file that one of the two kept manifests lists is not deleted;
//! - after a failed write or sync everything but reading is refused.
//!
//! Start reading at `write.rs`, then `checkpoint.rs`.

mod checkpoint;
mod read;
mod replay;
mod rewrite;
mod segment;
mod write;

pub use checkpoint::{Checkpoint, Durable, PendingCheckpoint, SupersededFiles};
pub use read::StoreReader;
pub use replay::{Gather, Replayed};
pub use rewrite::{Indexed, Indexing, Replaced, Rewriting, Rewritten};
pub use write::{SegmentUse, Store};

use std::fmt;
use types::limits::{STORE_BUFFER_BYTES, STORE_SEGMENT_BYTES};

/// What a record is: the caller's number, 1 to 254.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub u8);

/// A segment of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(pub u32);

/// Where a record is: its segment and its place in it. The default is where no record ever is.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The place in a segment.
    #[must_use]
    pub fn new(segment: SegmentNumber, offset: u32) -> Self {
        Self(u64::from(segment.0) << 32 | u64::from(offset))
    }

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

    /// Its place in the segment.
    #[must_use]
    pub fn offset(self) -> u64 {
        self.0 & 0xffff_ffff
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} byte {}", self.segment().0, self.offset())
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Sizes of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Bytes of one segment file, reserved when it is made. One larger record makes one larger segment.
    pub segment_bytes: u64,
    /// Bytes gathered in memory before they are written.
    pub buffer_bytes: usize,
}

impl Default for StoreOptions {
    /// Large segments keep their number small; a mebibyte a write costs little memory and few calls.
    fn default() -> Self {
        Self { segment_bytes: STORE_SEGMENT_BYTES, buffer_bytes: STORE_BUFFER_BYTES }
    }
}
