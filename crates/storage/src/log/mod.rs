//! The log: batches of entries, made durable together, in sealed segments (docs/formats/log.md).
//!
//! Owns the order of writes and syncs, what is believed after a crash, and the recent entries in memory. One
//! [`LogWriter`] lives on the log's thread; [`LogReader`]s are everywhere. Never interprets an entry.
//!
//! Invariants:
//! - a segment is written by one life of one process; each start begins a new one, whose head says how much of its
//!   predecessor counts, so a torn tail is judged once and for all;
//! - a batch is written only after the one before is synced;
//! - entries are superseded by later records of the same index, never cut;
//! - segments are deleted from the oldest on, whole;
//! - a directory whose log does not open is not changed;
//! - after a failed write or sync the writer refuses everything.
//!
//! Start reading at `write.rs`; `recover.rs` and `torn.rs` say what a start believes.

mod create;
mod read;
pub(crate) mod record;
mod recover;
pub(crate) mod torn;
mod write;

pub use read::LogReader;
pub use recover::TornTail;
pub use write::{LogBatch, LogWriter};

pub(crate) use recover::begins;
use recover::{Found, Gaps};

use crate::dir::Dir;
use crate::{DataDir, Error};
use consensus::HardState;
use std::sync::Arc;
use types::LogIndex;
use types::limits::{LOG_SEGMENT_BYTES, LOG_TAIL_BYTES};

/// Sizes of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Bytes of one segment file, reserved when it is made. One larger batch makes one larger segment.
    pub segment_bytes: u64,
    /// Bytes of recent entries kept in memory at most, as long as a follower or apply wants them; others are read from the disk.
    pub tail_bytes: usize,
}

impl Default for LogOptions {
    /// etcd's segment size, so that its operators find what they know; half of it in memory.
    fn default() -> Self {
        Self { segment_bytes: LOG_SEGMENT_BYTES, tail_bytes: LOG_TAIL_BYTES }
    }
}

/// A place in the log's files; later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The segment's number; 0 for none.
    pub segment: u32,
    /// Bytes of it.
    pub offset: u64,
}

/// What a log held when it was opened.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The last hard state; its commit is never beyond `last`.
    pub hard_state: HardState,
    /// The first entry; one after the last when there is none.
    pub first: LogIndex,
    /// The last entry.
    pub last: LogIndex,
    /// How much of the log's files was found good.
    pub position: LogPosition,
    /// The end of a batch that was cut short by a crash and is left out, for the log of the program.
    pub torn_tail: Option<TornTail>,
}

/// The log of a data directory as it was found. Nothing is changed before [`Log::go_on`], so that a start which is refused for
/// what the log holds is refused again and again.
#[derive(Debug)]
pub struct Log {
    dir: Arc<Dir>,
    options: LogOptions,
    found: Found,
}

impl Log {
    /// Reads the log of a data directory.
    ///
    /// # Errors
    /// Damage, a log that begins after the store's end, the disk's failure.
    pub fn find(dir: &DataDir, options: LogOptions) -> Result<Self, Error> {
        Self::find_with(dir, options, Gaps::AreDamage)
    }

    /// The same for a directory that may be a copy, made while the log was written: where bytes are missing (not changed)
    /// although more follows, the log ends; [`Recovered::torn_tail`] says where, and [`Log::go_on`] deletes what follows. In a
    /// directory that is no copy, what follows was acknowledged.
    ///
    /// # Errors
    /// As [`Log::find`].
    pub fn find_in_copy(dir: &DataDir, options: LogOptions) -> Result<Self, Error> {
        Self::find_with(dir, options, Gaps::EndTheLog)
    }

    fn find_with(dir: &DataDir, options: LogOptions, gaps: Gaps) -> Result<Self, Error> {
        let consistent = dir.chosen.manifest.checkpoint.consistent_index;
        let found = recover::recover(&dir.dir, options.tail_bytes, consistent, gaps)?;
        if found.base.0 > consistent {
            let why = format!(
                "the store ends at entry {consistent}, but the log begins at {}",
                found.base.0.next()
            );
            return Err(Error::Inconsistent { path: dir.dir.path.clone(), why });
        }
        Ok(Self { dir: dir.dir.clone(), options, found })
    }

    /// What it holds.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.found.summary()
    }

    /// Begins a new segment and goes on.
    ///
    /// # Errors
    /// No space, the disk's failure.
    pub fn go_on(self) -> Result<(LogWriter, LogReader), Error> {
        LogWriter::go_on(self.dir, self.options, self.found)
    }

    /// Finds the log and goes on, whatever it holds.
    ///
    /// # Errors
    /// As [`Log::find`] and [`Log::go_on`].
    pub fn open(dir: &DataDir, options: LogOptions) -> Result<(LogWriter, LogReader, Recovered), Error> {
        let log = Self::find(dir, options)?;
        let recovered = log.recovered();
        let (writer, reader) = log.go_on()?;
        Ok((writer, reader, recovered))
    }
}
