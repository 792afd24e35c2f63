//! What applied entries changed, for those who must be told: watchers, lease timers, the alarm's followers.
//!
//! Owns only the collection; [`crate::Machine::take_changes`] hands it out and begins a new one. It never leaves the
//! member and is not part of the replicated state.

use crate::outcome::Event;
use std::sync::Arc;
use types::{LeaseId, Revision};

/// What changed since it was last asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The events of each revision that changed keys, in order.
    pub revisions: Vec<Revised>,
    /// What happened to leases, in order.
    pub leases: Vec<LeaseChange>,
    /// Whether the set of alarms changed.
    pub alarms: bool,
    /// Whether the membership, the cluster version or the downgrade in progress changed.
    pub membership: bool,
    /// What happened to tokens, in order.
    pub tokens: Vec<TokenChange>,
    /// Whether who may do what changed.
    pub policy: bool,
    /// Whether the register of certificates changed.
    pub certificates: bool,
    /// The last compaction that was scheduled.
    pub compacted: Option<Revision>,
}

impl Changes {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The events of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revised {
    /// The revision.
    pub revision: Revision,
    /// Its events, in order; never empty.
    pub events: Vec<Event>,
}

/// What happened to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// It was made; its time begins.
    Granted {
        /// The lease.
        id: LeaseId,
        /// Its whole life, in seconds.
        ttl_seconds: i64,
    },
    /// It ended.
    Revoked(LeaseId),
    /// Its remaining life was replicated.
    Checkpointed {
        /// The lease.
        id: LeaseId,
        /// Seconds left; 0 means the whole life.
        remaining_seconds: i64,
    },
}

/// What happened to the tokens that members give to users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenChange {
    /// One was given.
    Given {
        /// The token.
        token: Arc<str>,
        /// To whom.
        user: Arc<str>,
    },
    /// All of a user's are void.
    VoidOf(String),
    /// All are void.
    Void,
}
