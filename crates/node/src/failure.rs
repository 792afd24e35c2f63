//! Why a member cannot go on: its data, its log or its configuration is not what it can go on with.

use crate::error::Refused;
use crate::{codec, confchange};
use types::LogIndex;

/// Why a member cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The state machine's store failed or is damaged.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The log failed or is damaged.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// Consensus found a contradiction.
    #[error(transparent)]
    Consensus(#[from] consensus::Error),
    /// A log entry that this version does not understand.
    #[error("entry {index}: {unreadable}")]
    Entry {
        /// Which.
        index: LogIndex,
        /// Why.
        unreadable: codec::Unreadable,
    },
    /// The data is older than its mark beside the key.
    #[error(
        "the data is older than it was: an old copy was put back, or the end of the log is gone; hint: put the newest \
         copy back, or start once with --accept-rollback to go on without what came later"
    )]
    RolledBack,
    /// The member could not announce itself.
    #[error("the member did not come to lead and announce itself: {0}")]
    NotAnnounced(#[from] Refused),
    /// The data is another member's than the one that was named.
    #[error(
        "the data is of the member {recorded:?}, and the settings name {given:?}; hint: start it as {recorded:?} or without \
         a name, or name the data directory of {given:?}"
    )]
    OtherName {
        /// In the data.
        recorded: String,
        /// In the settings.
        given: String,
    },
    /// A membership entry that this version does not understand.
    #[error("membership entry: {0}")]
    Membership(#[from] confchange::Malformed),
}

impl Failure {
    /// Whether it is only that there was no space.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(
            self,
            Self::Storage(storage::Error::NoSpace { .. })
                | Self::State(state::Error::Storage(storage::Error::NoSpace { .. }))
        )
    }
}
