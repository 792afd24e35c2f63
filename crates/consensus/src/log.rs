//! The log as consensus reads it, and the bridge from that to the library's storage.

use crate::words::{ConfState, Entry, HardState};
use raft::{GetEntriesContext, RaftState, StorageError};
use raft_proto::eraftpb as pb;
use types::{LogIndex, Term};

/// Why an entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It was released: the store holds its effects.
    #[error("entry released")]
    Compacted,
    /// It is not written yet.
    #[error("entry not written")]
    Unavailable,
    /// The log is damaged or its disk failed.
    #[error("{0}")]
    Broken(String),
}

/// Reads the durable log.
pub trait LogRead {
    /// The first entry that can be read; one after the last when there is none.
    fn first_index(&self) -> LogIndex;
    /// The last entry written.
    fn last_index(&self) -> LogIndex;
    /// The term of an entry, or of the one just before the first.
    ///
    /// # Errors
    /// The entry is released, not written, or broken.
    fn term(&self, index: LogIndex) -> Result<Term, LogError>;
    /// The entries from `low` on, before `high`: at least one, then no more than `bytes_max`.
    ///
    /// # Errors
    /// An entry is released, not written, or broken.
    fn entries(&self, low: LogIndex, high: LogIndex, bytes_max: u64) -> Result<Vec<Entry>, LogError>;
}

/// The library's view of a log.
pub(crate) struct Bridge<L> {
    pub(crate) log: L,
    pub(crate) hard_state: HardState,
    pub(crate) conf_state: ConfState,
}

fn library_error(error: LogError) -> raft::Error {
    raft::Error::Store(match error {
        LogError::Compacted => StorageError::Compacted,
        LogError::Unavailable => StorageError::Unavailable,
        LogError::Broken(what) => StorageError::Other(what.into()),
    })
}

impl<L: LogRead> raft::Storage for Bridge<L> {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.into_library(), conf_state: self.conf_state.0.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<pb::Entry>> {
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        let entries = self.log.entries(LogIndex(low), LogIndex(high), bytes_max).map_err(library_error)?;
        Ok(entries.into_iter().map(Entry::into_library).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == 0 {
            return Ok(0);
        }
        self.log.term(LogIndex(index)).map(|term| term.0).map_err(library_error)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.log.first_index().0)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.log.last_index().0)
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<pb::Snapshot> {
        Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
