//! What the threads of consensus and of the log are told.

use crate::core::Write;
use crate::proposal::Proposal;
use types::{LogIndex, MemberId};

/// What the consensus thread is told.
pub(crate) enum Input {
    /// A proposal.
    Propose(Proposal),
    /// The write of this number is durable.
    Persisted(u64),
    /// Leadership is to go to another member.
    Transfer(MemberId),
    /// The end.
    Stop,
}

/// What the log thread is told.
pub(crate) enum LogInput {
    /// Write this, and sync it if it says so.
    Write(Write),
    /// Entries below this index are not needed any more.
    Release(LogIndex),
}
