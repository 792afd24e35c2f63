//! Why a member did not do what it was asked: nothing here is a fault of the request itself.

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Too many proposals wait already; try again.
    #[error("too many requests")]
    TooManyRequests,
    /// The replicated entry would be larger than the limit.
    #[error("request of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// The entry's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Nobody leads at the moment; try again.
    #[error("no leader")]
    NoLeader,
    /// The leader changed before the entry was committed; it may or may not be carried out.
    #[error("leader changed")]
    LeaderChanged,
    /// The member is stopping.
    #[error("member stopped")]
    Stopped,
    /// The answer did not come in time; the act may or may not be carried out.
    #[error("request timed out")]
    TimedOut,
    /// The lease is unknown here.
    #[error("lease not found")]
    LeaseNotFound,
    /// A read refused by the state machine.
    #[error(transparent)]
    State(#[from] state::Refusal),
    /// The store failed, or what it holds does not match its seal; the member is stopping.
    #[error("storage failed: {0}")]
    Storage(String),
}
