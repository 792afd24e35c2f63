//! The handle of a running member: what the edge may ask, each way with its proof.
//!
//! Cheap to clone, safe from every thread. Reads go straight to the state's reader on the caller's thread; writes go to
//! the member's loop and come back through the reply.

use crate::error::Refused;
use crate::watch::{WatchSink, WatchStream};
use audit::Recorded;
use state::command::Command;
use types::{ClusterId, LeaseId, LogIndex, MemberId, Term};

/// Called once with the answer, on one of the member's threads; must not block.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Refused>) + Send>;

/// A proposal that was committed and applied.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// What came of it.
    pub applied: state::Applied,
    /// The entry's index.
    pub index: LogIndex,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write that was acknowledged before it began.
    Linearizable,
    /// Sees some recent state of this member.
    Serializable,
}

/// A member's place in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Leads.
    Leader,
    /// Follows, or has no leader.
    Follower,
    /// Wants to lead.
    Candidate,
}

/// A member's condition at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// The cluster.
    pub cluster: ClusterId,
    /// This member.
    pub member: MemberId,
    /// Who leads, if anybody.
    pub leader: Option<MemberId>,
    /// This member's role.
    pub role: Role,
    /// The current term.
    pub term: Term,
    /// The last committed index.
    pub committed: LogIndex,
    /// The last applied index.
    pub applied: LogIndex,
    /// Whether this member is a learner.
    pub is_learner: bool,
    /// Proposals that wait for their entry.
    pub proposals_pending: usize,
    /// Proposals that failed since start.
    pub proposals_failed: u64,
}

/// A running member.
#[derive(Clone)]
pub struct Member {
    shared: std::sync::Arc<Shared>,
}

struct Shared {
    reader: state::Reader,
}

impl Member {
    /// Proposes a command; the reply comes when its entry is durable and applied.
    pub fn propose(&self, command: Recorded<Command>, reply: Reply<Proposed>) {
        let _ = (command, reply);
        panic!("the member's loop is not there yet");
    }

    /// Replies when a read that begins then is linearizable. Calls back at once, on this thread, where no other
    /// member's word is needed.
    pub fn read_barrier(&self, reply: Reply<()>) {
        reply(Ok(()));
    }

    /// The applied state, for whoever holds a recorded request.
    pub fn inspect<T>(&self, _proof: &Recorded<T>) -> &state::Reader {
        &self.shared.reader
    }

    /// Opens a watch stream whose answers go to `sink`.
    pub fn watch(&self, sink: Box<dyn WatchSink>) -> WatchStream {
        let _ = sink;
        panic!("the hub is not there yet");
    }

    /// Renews a lease; answers its full time to live, in seconds.
    ///
    /// # Errors
    /// [`Refused::LeaseNotFound`] when it is unknown or has expired; [`Refused::NoLeader`] when this member cannot say.
    pub fn keep_alive(&self, lease: &Recorded<LeaseId>) -> Result<i64, Refused> {
        let _ = lease;
        Err(Refused::LeaseNotFound)
    }

    /// Seconds that a lease has left, or nothing if it is unknown or has expired.
    pub fn lease_remaining_seconds(&self, lease: &Recorded<LeaseId>) -> Option<i64> {
        let _ = lease;
        None
    }

    /// Hands leadership to another voter.
    ///
    /// # Errors
    /// [`Refused::NoLeader`] when this member does not lead or `to` cannot.
    pub fn transfer_leadership(&self, to: &Recorded<MemberId>) -> Result<(), Refused> {
        let _ = to;
        Err(Refused::NoLeader)
    }

    /// The member's condition.
    pub fn status(&self) -> Status {
        panic!("the member's loop is not there yet");
    }

    /// Stops the member: what is proposed and not yet committed is refused, the rest is made durable. Returns when its
    /// threads have ended.
    pub fn stop(&self) {}
}
