//! The log.

use crate::{DataDir, Error};
use bytes::Bytes;
use consensus::{Entry, HardState, LogError, LogRead};
use types::{LogIndex, Term};

/// Sizes of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Bytes of one segment file.
    pub segment_bytes: u64,
    /// Bytes of recent entries kept in memory.
    pub tail_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, tail_bytes: 32 << 20 }
    }
}

/// What is made durable together.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogBatch<'a> {
    /// The hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// Entries; the first follows the last one there, or supersedes all from its index on.
    pub entries: &'a [Entry],
    /// Audit intents of these entries.
    pub audit: &'a [Bytes],
}

/// What a log held when it was opened.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The last hard state.
    pub hard_state: HardState,
    /// The first entry; one after the last when there is none.
    pub first: LogIndex,
    /// The last entry.
    pub last: LogIndex,
}

/// A log.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Opens the log of a data directory and begins a new segment.
    ///
    /// # Errors
    /// Damage, no space, the disk's failure.
    pub fn open(dir: &DataDir, options: LogOptions) -> Result<(LogWriter, LogReader, Recovered), Error> {
        let _ = (dir, options);
        panic!("not there yet")
    }
}

/// Writes the log.
#[derive(Debug)]
pub struct LogWriter {}

impl LogWriter {
    /// Writes a batch; durable after [`LogWriter::sync`].
    ///
    /// # Errors
    /// [`Error::NoSpace`]: nothing was written. Else the writer is poisoned.
    pub fn append(&mut self, batch: LogBatch<'_>) -> Result<(), Error> {
        let _ = batch;
        panic!("not there yet")
    }
    /// Makes what was appended durable.
    ///
    /// # Errors
    /// The disk's failure; the writer is poisoned.
    pub fn sync(&mut self) -> Result<(), Error> {
        panic!("not there yet")
    }
    /// Deletes whole segments that hold only entries before `below`.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn release(&mut self, below: LogIndex) -> Result<(), Error> {
        let _ = below;
        panic!("not there yet")
    }
    /// Begins the log anew after the entry at `index` with `term`, as an installed snapshot does.
    ///
    /// # Errors
    /// As [`LogWriter::append`].
    pub fn reset(&mut self, index: LogIndex, term: Term) -> Result<(), Error> {
        let _ = (index, term);
        panic!("not there yet")
    }
    /// Whether the next segment could not be reserved: puts should be refused until it could.
    #[must_use]
    pub fn is_short_of_space(&self) -> bool {
        false
    }
}

/// Reads the log.
#[derive(Clone, Debug)]
pub struct LogReader {}

impl LogReader {
    /// Makes entries readable that were handed over for writing but may not be written yet. Consensus reads what it
    /// handed out at once, so its driver calls this before it sends a batch to the writer.
    pub fn stage(&self, entries: &[Entry]) {
        let _ = entries;
    }
}

impl LogRead for LogReader {
    fn first_index(&self) -> LogIndex {
        panic!("not there yet")
    }
    fn last_index(&self) -> LogIndex {
        panic!("not there yet")
    }
    fn term(&self, _: LogIndex) -> Result<Term, LogError> {
        panic!("not there yet")
    }
    fn entries(&self, _: LogIndex, _: LogIndex, _: u64) -> Result<Vec<Entry>, LogError> {
        panic!("not there yet")
    }
}
