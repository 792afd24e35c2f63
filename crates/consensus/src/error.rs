//! Why consensus does not do what it was asked.

use crate::log::LogError;
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
    /// The log has let go of entries that the store has not applied: their effects are nowhere.
    #[error("the store has applied up to {applied}, but the log begins at {first}")]
    AppliedBeforeLog {
        /// The store's consistent index.
        applied: LogIndex,
        /// The log's first index.
        first: LogIndex,
    },
    /// The log cannot be read any more; the machine does nothing further.
    #[error("log: {0}")]
    Log(LogError),
    /// The member has no vote, so it cannot lead.
    #[error("member {0} is no voter")]
    NoVoter(MemberId),
    /// A configuration entry that cannot be read or applied.
    #[error("configuration entry: {0}")]
    Configuration(String),
    /// The library refused for a reason of its own.
    #[error("raft: {0}")]
    Raft(#[from] raft::Error),
}
