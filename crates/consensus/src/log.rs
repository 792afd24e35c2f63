//! The log as consensus reads it, and the bridge from that to the library's storage.
//!
//! The library ends the process when its storage fails. So the bridge keeps a failure to itself, answers with nothing,
//! and the machine, which asks for it before anything leaves, ends in an [`crate::Error::Log`] instead.

use crate::words::{ConfState, Entry, HardState};
use raft::{GetEntriesContext, RaftState, StorageError};
use raft_proto::eraftpb as pb;
use std::cell::RefCell;
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

/// Reads the log: what [`crate::Ready::entries`] handed out, whether durable yet or not.
///
/// Invariant: entries of a `Ready` are readable before the next call of the machine (but for `apply_conf_change` and the
/// questions that change nothing): from then on the library knows them only through here.
pub trait LogRead {
    /// The first entry that can be read; one after the last when there is none.
    fn first_index(&self) -> LogIndex;
    /// The last entry handed out.
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
    /// The first failure of the log.
    pub(crate) broken: RefCell<Option<LogError>>,
}

impl<L> Bridge<L> {
    /// What the library is answered when the log refuses: its own word, or `nothing` for a failure, which is kept.
    fn refused<T>(&self, error: LogError, nothing: T) -> raft::Result<T> {
        match error {
            LogError::Compacted => Err(raft::Error::Store(StorageError::Compacted)),
            LogError::Unavailable => Err(raft::Error::Store(StorageError::Unavailable)),
            LogError::Broken(_) => {
                self.broken.borrow_mut().get_or_insert(error);
                Ok(nothing)
            }
        }
    }
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
        match self.log.entries(LogIndex(low), LogIndex(high), bytes_max) {
            Ok(entries) => Ok(entries.into_iter().map(Entry::into_library).collect()),
            Err(error) => self.refused(error, Vec::new()),
        }
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == 0 {
            return Ok(0);
        }
        match self.log.term(LogIndex(index)) {
            Ok(term) => Ok(term.0),
            Err(error) => self.refused(error, 0),
        }
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
