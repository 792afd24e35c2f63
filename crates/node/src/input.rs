//! What the log thread is told.

use crate::core::Write;
use crate::proposal::Proposal;
use types::MemberId;

/// What the log thread is told.
pub(crate) enum Input {
    /// A proposal.
    Propose(Proposal),
    /// What a tick wants written.
    Write(Write),
    /// Leadership is to go to another member.
    Transfer(MemberId),
    /// The end.
    Stop,
}
