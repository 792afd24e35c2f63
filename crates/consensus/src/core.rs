//! The machine: the library's node with its traps covered.
//!
//! Asynchronous form of the library: a [`Ready`] is taken, its entries are written while more is proposed, and
//! [`Consensus::persisted`] tells when they are durable. At most one `Ready` with something to write is out at a time; what
//! is proposed meanwhile goes into the next, which is the group commit.
//!
//! Invariants: the library forgets the entries of a `Ready` only at the next call that may change something, when the log
//! shows them; an election timeout is never the library's own draw when time passes; nothing leaves after the log failed.

use crate::admit::admit;
use crate::confchange::{self, Change};
use crate::error::Error;
use crate::log::{Bridge, LogRead};
use crate::words::{ConfState, Entry, HardState, Message};
use bytes::Bytes;
use raft::{RawNode, StateRole};
use raft_proto::eraftpb as pb;
use std::cell::RefCell;
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
    /// What was handed out last, until the library may forget it.
    handed_out: Option<raft::Ready>,
    random: Box<dyn FnMut() -> u64 + Send>,
    election_ticks: usize,
}

impl<L: LogRead> Consensus<L> {
    /// A machine over a log. `random` is where election timeouts come from.
    ///
    /// # Errors
    /// Log and store do not meet, or the settings contradict themselves.
    pub fn new(settings: Settings, log: L, random: Box<dyn FnMut() -> u64 + Send>) -> Result<Self, Error> {
        let (first, last, applied) = (log.first_index(), log.last_index(), settings.applied);
        if applied > last {
            return Err(Error::AppliedBeyondLog { applied, last });
        }
        if applied.next() < first {
            return Err(Error::AppliedBeforeLog { applied, first });
        }
        if settings.member.0 == raft::INVALID_ID {
            return Err(Error::Start("member 0 is nobody".into()));
        }
        if !confchange::is_consistent(&settings.conf_state.0) {
            return Err(Error::Start("the configuration contradicts itself".into()));
        }
        // The library panics when told of more applied than committed; what was applied was committed. A commit beyond
        // the log is left by a crash between the two halves of a write that nobody relied on.
        let commit = settings.hard_state.commit.max(applied).min(last);
        let hard_state = HardState { commit, ..settings.hard_state };
        let config = raft::Config {
            id: settings.member.0,
            election_tick: settings.election_ticks,
            heartbeat_tick: settings.heartbeat_ticks,
            // The library's own draws come from a range so wide that each can be told from ours, which replace them.
            min_election_tick: settings.election_ticks,
            max_election_tick: usize::MAX,
            applied: applied.0,
            max_size_per_msg: MESSAGE_BYTES_MAX,
            max_inflight_msgs: MESSAGES_INFLIGHT_MAX,
            max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: COMMITTED_BYTES_MAX,
            check_quorum: true,
            pre_vote: true,
            ..raft::Config::default()
        };
        let broken = RefCell::default();
        let bridge = Bridge { log, hard_state, conf_state: settings.conf_state, broken };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, bridge, &logger).map_err(|error| Error::Start(error.to_string()))?;
        Ok(Self { node, handed_out: None, random, election_ticks: settings.election_ticks })
    }

    /// Time passes.
    pub fn tick(&mut self) {
        self.finish();
        self.draw_timeout();
        self.node.tick();
    }

    /// Wants to lead now, without waiting for the timeout.
    ///
    /// # Errors
    /// [`Error::NoVoter`] when it has no vote; the library's.
    pub fn campaign(&mut self) -> Result<(), Error> {
        self.finish();
        if !self.node.raft.promotable() {
            return Err(Error::NoVoter(MemberId(self.node.raft.id)));
        }
        Ok(self.node.campaign()?)
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
        self.finish();
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
        self.finish();
        let refused = |why| Error::MessageRefused { from: message.from(), why };
        admit(&self.node.raft, &message.0).map_err(refused)?;
        Ok(self.node.step(message.0)?)
    }

    /// Asks for a linearizable read; the answer comes in [`Ready::reads`] with this context, which must not be empty nor
    /// the same as one that waits. It may be dropped without a word, as before the leader's first commit: ask again.
    pub fn read_index(&mut self, context: Bytes) {
        self.finish();
        self.node.read_index(context.to_vec());
    }

    /// Hands leadership to another voter.
    pub fn transfer_leader(&mut self, to: MemberId) {
        self.finish();
        self.node.transfer_leader(to.0);
    }

    /// What is to be done now; nothing if there is nothing.
    ///
    /// # Panics
    /// When the log could not be read: see [`Consensus::try_ready`].
    pub fn ready(&mut self) -> Option<Ready> {
        self.try_ready().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is to be done now; nothing if there is nothing.
    ///
    /// # Errors
    /// [`Error::Log`] once the log could not be read; the machine is of no further use.
    pub fn try_ready(&mut self) -> Result<Option<Ready>, Error> {
        self.finish();
        self.check_log()?;
        let ready = self.node.has_ready().then(|| self.node.ready());
        self.check_log()?;
        let Some(mut ready) = ready else { return Ok(None) };
        let messages = |messages: Vec<pb::Message>| messages.into_iter().map(Message).collect();
        let out = Ready {
            number: ready.number(),
            hard_state: ready.hs().map(HardState::from_library),
            must_sync: ready.must_sync(),
            entries: ready.take_entries().into_iter().map(Entry::from_library).collect(),
            committed: ready.take_committed_entries().into_iter().map(Entry::from_library).collect(),
            messages: messages(ready.take_messages()),
            persisted_messages: messages(ready.take_persisted_messages()),
            reads: ready
                .take_read_states()
                .into_iter()
                .map(|read| (Bytes::from(read.request_ctx), LogIndex(read.index)))
                .collect(),
        };
        self.handed_out = Some(ready);
        Ok(Some(out))
    }

    fn check_log(&self) -> Result<(), Error> {
        let broken = self.node.raft.raft_log.store.broken.borrow();
        broken.as_ref().map_or(Ok(()), |error| Err(Error::Log(error.clone())))
    }

    /// Lets the library forget what was handed out last: from now on the log shows it.
    fn finish(&mut self) {
        if let Some(ready) = self.handed_out.take() {
            self.node.advance_append_async(ready);
        }
    }

    /// What the `Ready` of this number (and all before it) had to write is durable.
    pub fn persisted(&mut self, number: u64) {
        self.finish();
        self.node.on_persist_ready(number);
    }

    /// Everything up to this index was applied.
    ///
    /// # Panics
    /// When it was never handed out as committed.
    pub fn applied(&mut self, index: LogIndex) {
        self.finish();
        self.node.advance_apply_to(index.0);
    }

    /// Makes a committed configuration entry take effect here; answers the configuration after it. An entry that
    /// changes no configuration (etcd's "update") leaves it. A leader that has no vote after it leads no more.
    ///
    /// # Errors
    /// [`Error::Configuration`] when it cannot be understood or the configuration would be left without voters.
    pub fn apply_conf_change(&mut self, entry: &Entry) -> Result<ConfState, Error> {
        let Change::Changes(change) = confchange::decode(entry)? else {
            return Ok(self.conf_state());
        };
        let changed = self.node.apply_conf_change(&change);
        let changed = changed.map_err(|error| Error::Configuration(error.to_string()))?;
        let raft = &mut self.node.raft;
        if raft.state == StateRole::Leader && !raft.promotable() {
            // The library leaves it a leader without progress of its own, and panics at its next write.
            raft.become_follower(raft.term, raft::INVALID_ID);
        }
        Ok(ConfState::from_library(changed))
    }

    /// The configuration in force.
    #[must_use]
    pub fn conf_state(&self) -> ConfState {
        ConfState::from_library(self.node.raft.prs().conf().to_conf_state())
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

    /// How far the log is known to be applied.
    #[must_use]
    pub fn applied_index(&self) -> LogIndex {
        LogIndex(self.node.raft.raft_log.applied)
    }

    /// The first entry that is wanted soon: it is to be applied here, or, where this member leads, acknowledged by another one. A
    /// member that is added, or comes back after long, wants older ones. Who does not lead does not know what others have, and
    /// may lead next.
    #[must_use]
    pub fn wanted_from(&self) -> LogIndex {
        let raft = &self.node.raft;
        if raft.state != StateRole::Leader {
            return LogIndex(1);
        }
        let acknowledged = raft.prs().iter().map(|(_, progress)| progress.matched).min();
        LogIndex(raft.raft_log.applied.min(acknowledged.unwrap_or(0))).next()
    }

    /// Replaces the election timeout that the library drew since time last passed with one from our own source. Only
    /// the passing of time looks at the timeout; ours are below twice the least, the library's practically never.
    fn draw_timeout(&mut self) {
        if self.node.raft.randomized_election_timeout() < self.election_ticks.saturating_mul(2) {
            return;
        }
        let spread = self.election_ticks.max(1) as u64;
        let extra = usize::try_from((self.random)() % spread).unwrap_or(0);
        self.node.raft.set_randomized_election_timeout(self.election_ticks.saturating_add(extra));
    }
}

#[cfg(test)]
mod tests;
