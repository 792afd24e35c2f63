//! Why consensus does not do what it was asked.

use types::{LogIndex, MemberId};

/// A refusal or a contradiction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody leads, or too much waits already: the proposal was dropped.
    #[error("proposal dropped: no leader, or too much uncommitted")]
    ProposalDropped,
    /// A message from somebody who is no member, or that no member sends.
    #[error("message from {from} refused: {why}")]
    MessageRefused {
        /// Who sent it.
        from: MemberId,
        /// Why.
        why: &'static str,
    },
    /// What was handed in at the start contradicts itself.
    #[error("cannot start: {0}")]
    Start(String),
    /// The store has applied more than the log holds.
    #[error("the store has applied up to {applied}, but the log ends at {last}")]
    AppliedBeyondLog {
        /// The store's consistent index.
        applied: LogIndex,
        /// The log's last index.
        last: LogIndex,
    },
    /// A configuration entry that cannot be read or applied.
    #[error("configuration entry: {0}")]
    Configuration(String),
    /// The library refused for a reason of its own.
    #[error("raft: {0}")]
    Raft(#[from] raft::Error),
}
