//! The machine: the library's node with its traps covered.
//!
//! Asynchronous form of the library: a [`Ready`] is taken, its entries are written while more is proposed, and
//! [`Consensus::persisted`] tells when they are durable. At most one `Ready` with something to write is out at a time; what
//! is proposed meanwhile goes into the next, which is the group commit.

use crate::error::Error;
use crate::log::{Bridge, LogRead};
use crate::words::{ConfState, Entry, EntryKind, HardState, Message};
use bytes::Bytes;
use prost::Message as _;
use raft::{RawNode, StateRole};
use raft_proto::eraftpb as pb;
use types::{LogIndex, MemberId, Term};

/// How a member takes part.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who it is.
    pub member: MemberId,
    /// Ticks without a leader after which it wants to become one; drawn from this up to twice this.
    pub election_ticks: usize,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_ticks: usize,
    /// What it knew when it last stopped.
    pub hard_state: HardState,
    /// The configuration as of `applied`.
    pub conf_state: ConfState,
    /// How far its store has applied the log.
    pub applied: LogIndex,
}

/// Largest append message, in bytes (etcd's).
const MESSAGE_BYTES_MAX: u64 = 1024 * 1024;
/// Append messages on their way to one follower (etcd's).
const MESSAGES_INFLIGHT_MAX: usize = 512;
/// Bytes of uncommitted proposals; beyond it they are dropped.
const UNCOMMITTED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of committed entries handed out at once.
const COMMITTED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is to be done now.
#[derive(Debug, Default)]
pub struct Ready {
    /// Names it for [`Consensus::persisted`].
    pub number: u64,
    /// The new hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// Entries to write, in order; they supersede whatever the log holds from the first one's index on.
    pub entries: Vec<Entry>,
    /// Whether the write has to be synced before it counts.
    pub must_sync: bool,
    /// Committed entries to apply, in order.
    pub committed: Vec<Entry>,
    /// Messages that may leave at once.
    pub messages: Vec<Message>,
    /// Messages that may leave when the write is durable.
    pub persisted_messages: Vec<Message>,
    /// Reads that may be served: their contexts, each with the index that must be applied first.
    pub reads: Vec<(Bytes, LogIndex)>,
}

impl Ready {
    /// Whether it holds something to write.
    #[must_use]
    pub fn has_write(&self) -> bool {
        self.hard_state.is_some() || !self.entries.is_empty()
    }
}

/// A member's place in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Leads.
    Leader,
    /// Follows, or has no leader.
    Follower,
    /// Wants to lead.
    Candidate,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its role.
    pub role: Role,
    /// Who leads, if anybody.
    pub leader: Option<MemberId>,
    /// The term.
    pub term: Term,
    /// The last index known to be committed.
    pub commit: LogIndex,
}

/// The machine.
pub struct Consensus<L: LogRead> {
    node: RawNode<Bridge<L>>,
    random: Box<dyn FnMut() -> u64 + Send>,
    election_ticks: usize,
    timeout: usize,
}

impl<L: LogRead> Consensus<L> {
    /// A machine over a log. `random` is where election timeouts come from.
    ///
    /// # Errors
    /// The store has applied more than the log holds, or the settings contradict themselves.
    pub fn new(settings: Settings, log: L, random: Box<dyn FnMut() -> u64 + Send>) -> Result<Self, Error> {
        let last = log.last_index();
        if settings.applied > last {
            return Err(Error::AppliedBeyondLog { applied: settings.applied, last });
        }
        // The library panics when told of more applied than committed; what was applied was committed.
        let commit = settings.hard_state.commit.max(settings.applied).min(last);
        let hard_state = HardState { commit, ..settings.hard_state };
        let config = raft::Config {
            id: settings.member.0,
            election_tick: settings.election_ticks,
            heartbeat_tick: settings.heartbeat_ticks,
            applied: settings.applied.0,
            max_size_per_msg: MESSAGE_BYTES_MAX,
            max_inflight_msgs: MESSAGES_INFLIGHT_MAX,
            max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: COMMITTED_BYTES_MAX,
            check_quorum: true,
            pre_vote: true,
            ..raft::Config::default()
        };
        let bridge = Bridge { log, hard_state, conf_state: settings.conf_state };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, bridge, &logger).map_err(|error| Error::Start(error.to_string()))?;
        let mut consensus = Self { node, random, election_ticks: settings.election_ticks, timeout: 0 };
        consensus.draw_timeout();
        Ok(consensus)
    }

    /// Time passes.
    pub fn tick(&mut self) {
        self.node.tick();
        self.draw_timeout();
    }

    /// Wants to lead now, without waiting for the timeout.
    ///
    /// # Errors
    /// The library's.
    pub fn campaign(&mut self) -> Result<(), Error> {
        self.node.campaign()?;
        self.draw_timeout();
        Ok(())
    }

    /// Proposes an entry.
    ///
    /// # Errors
    /// [`Error::ProposalDropped`] when nobody leads or too much waits.
    pub fn propose(&mut self, data: Bytes) -> Result<(), Error> {
        // Not through the library's own `propose`, which would copy the bytes.
        let entry = pb::Entry { data, ..Default::default() };
        self.propose_entry(entry)
    }

    /// Proposes a configuration entry (etcd's `ConfChange`, encoded).
    ///
    /// # Errors
    /// [`Error::ProposalDropped`] when nobody leads or too much waits.
    pub fn propose_conf_change(&mut self, data: Bytes) -> Result<(), Error> {
        self.propose_entry(pb::Entry {
            entry_type: pb::EntryType::EntryConfChange as i32,
            data,
            ..Default::default()
        })
    }

    fn propose_entry(&mut self, entry: pb::Entry) -> Result<(), Error> {
        let mut message = pb::Message { from: self.node.raft.id, entries: vec![entry], ..Default::default() };
        message.set_msg_type(pb::MessageType::MsgPropose);
        match self.node.raft.step(message) {
            Ok(()) => Ok(()),
            Err(raft::Error::ProposalDropped) => Err(Error::ProposalDropped),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a message from another member.
    ///
    /// # Errors
    /// [`Error::MessageRefused`] for what no honest member sends; the library's for what it cannot use now.
    pub fn step(&mut self, message: Message) -> Result<(), Error> {
        self.admit(&message.0)?;
        self.node.step(message.0)?;
        self.draw_timeout();
        Ok(())
    }

    /// Refuses what would make the library panic or act for somebody else.
    fn admit(&self, message: &pb::Message) -> Result<(), Error> {
        let from = MemberId(message.from);
        let refused = |why| Err(Error::MessageRefused { from, why });
        if message.to != self.node.raft.id {
            return refused("it is for another member");
        }
        if message.from == self.node.raft.id || message.from == raft::INVALID_ID {
            return refused("nobody else sent it");
        }
        if raft::raw_node::is_local_msg(message.get_msg_type()) {
            return refused("such a message never leaves a member");
        }
        let last = self.node.raft.raft_log.last_index();
        let commit_is_taken = message.get_msg_type() == pb::MessageType::MsgHeartbeat;
        if commit_is_taken && message.commit > last && message.term >= self.node.raft.term {
            return refused("its commit lies beyond the log");
        }
        Ok(())
    }

    /// Asks for a linearizable read; the answer comes in [`Ready::reads`] with this context. It may be dropped without a
    /// word before the leader's first commit: ask again.
    pub fn read_index(&mut self, context: Bytes) {
        self.node.read_index(context.to_vec());
    }

    /// Hands leadership to another voter.
    pub fn transfer_leader(&mut self, to: MemberId) {
        self.node.transfer_leader(to.0);
    }

    /// What is to be done now; nothing if there is nothing.
    pub fn ready(&mut self) -> Option<Ready> {
        if !self.node.has_ready() {
            return None;
        }
        let mut ready = self.node.ready();
        let messages = |messages: Vec<pb::Message>| messages.into_iter().map(Message).collect();
        let out = Ready {
            number: ready.number(),
            hard_state: ready.hs().map(HardState::from_library),
            entries: ready.entries().iter().cloned().map(Entry::from_library).collect(),
            must_sync: ready.must_sync(),
            committed: ready.take_committed_entries().into_iter().map(Entry::from_library).collect(),
            messages: messages(ready.take_messages()),
            persisted_messages: messages(ready.take_persisted_messages()),
            reads: ready
                .take_read_states()
                .into_iter()
                .map(|read| (Bytes::from(read.request_ctx), LogIndex(read.index)))
                .collect(),
        };
        self.node.advance_append_async(ready);
        Some(out)
    }

    /// What the `Ready` of this number (and all before it) had to write is durable.
    pub fn persisted(&mut self, number: u64) {
        self.node.on_persist_ready(number);
    }

    /// Everything up to this index was applied.
    pub fn applied(&mut self, index: LogIndex) {
        self.node.advance_apply_to(index.0);
    }

    /// Makes a committed configuration entry take effect here; answers the configuration after it. An entry that
    /// changes no configuration (etcd's "update") leaves it.
    ///
    /// # Errors
    /// [`Error::Configuration`] when it cannot be read or the configuration would be left without voters.
    pub fn apply_conf_change(&mut self, entry: &Entry) -> Result<ConfState, Error> {
        let unreadable = |_| Error::Configuration(format!("entry {} cannot be read", entry.index));
        let changed = match entry.kind {
            EntryKind::Normal => return Err(Error::Configuration(format!("entry {} is none", entry.index))),
            EntryKind::ConfChange => {
                let change = pb::ConfChange::decode(entry.data.clone()).map_err(unreadable)?;
                if pb::ConfChangeType::try_from(change.change_type).is_err() {
                    return Ok(self.conf_state());
                }
                self.node.apply_conf_change(&change)
            }
            EntryKind::ConfChangeV2 => {
                let change = pb::ConfChangeV2::decode(entry.data.clone()).map_err(unreadable)?;
                self.node.apply_conf_change(&change)
            }
        };
        changed.map(ConfState).map_err(|error| Error::Configuration(error.to_string()))
    }

    /// The configuration in force.
    #[must_use]
    pub fn conf_state(&self) -> ConfState {
        ConfState(self.node.raft.prs().conf().to_conf_state())
    }

    /// Whether this member alone is the whole quorum.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        let state = self.node.raft.prs().conf().to_conf_state();
        state.voters == [self.node.raft.id] && state.voters_outgoing.is_empty()
    }

    /// Where the member stands.
    #[must_use]
    pub fn position(&self) -> Position {
        let raft = &self.node.raft;
        Position {
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Follower => Role::Follower,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            },
            leader: (raft.leader_id != raft::INVALID_ID).then_some(MemberId(raft.leader_id)),
            term: Term(raft.term),
            commit: LogIndex(raft.raft_log.committed),
        }
    }

    /// The log that the machine reads.
    pub fn log(&self) -> &L {
        &self.node.raft.raft_log.store.log
    }

    /// Replaces the election timeout that the library drew with one from our own source, after each reset.
    fn draw_timeout(&mut self) {
        if self.node.raft.randomized_election_timeout() == self.timeout {
            return;
        }
        let spread = self.election_ticks.max(1) as u64;
        let extra = usize::try_from((self.random)() % spread).unwrap_or(0);
        self.timeout = self.election_ticks + extra;
        self.node.raft.set_randomized_election_timeout(self.timeout);
    }
}

#[cfg(test)]
mod tests;
