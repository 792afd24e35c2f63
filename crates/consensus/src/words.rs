//! The words: entries, hard state, configurations, messages; and their translation to the library's, which nobody else sees.
//!
//! Printed forms (`Debug`) tell sizes, never contents: an entry holds values, and passwords' hashes.

use bytes::Bytes;
use prost::Message as _;
use raft_proto::eraftpb as pb;
use std::fmt;
use types::{LogIndex, MemberId, Term};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Something for the state machine; empty when a leader began its term with it.
    Normal,
    /// A change of one member.
    ConfChange,
    /// Changes of several members.
    ConfChangeV2,
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The term of the leader that made it.
    pub term: Term,
    /// Its position.
    pub index: LogIndex,
    /// What it is.
    pub kind: EntryKind,
    /// Its content.
    pub data: Bytes,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { term, index, kind, data } = self;
        write!(f, "Entry({index} of term {term}, {kind:?}, {} bytes)", data.len())
    }
}

impl Entry {
    pub(crate) fn from_library(entry: pb::Entry) -> Self {
        let kind = match entry.get_entry_type() {
            pb::EntryType::EntryNormal => EntryKind::Normal,
            pb::EntryType::EntryConfChange => EntryKind::ConfChange,
            pb::EntryType::EntryConfChangeV2 => EntryKind::ConfChangeV2,
        };
        Self { term: Term(entry.term), index: LogIndex(entry.index), kind, data: entry.data }
    }

    pub(crate) fn into_library(self) -> pb::Entry {
        let kind = match self.kind {
            EntryKind::Normal => pb::EntryType::EntryNormal,
            EntryKind::ConfChange => pb::EntryType::EntryConfChange,
            EntryKind::ConfChangeV2 => pb::EntryType::EntryConfChangeV2,
        };
        pb::Entry {
            entry_type: kind as i32,
            term: self.term.0,
            index: self.index.0,
            data: self.data,
            ..Default::default()
        }
    }
}

/// What a member must not forget between two lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term it has seen.
    pub term: Term,
    /// Whom it voted for in that term; 0 for nobody.
    pub vote: MemberId,
    /// How far it knows the log to be committed.
    pub commit: LogIndex,
}

impl HardState {
    pub(crate) fn from_library(state: &pb::HardState) -> Self {
        Self { term: Term(state.term), vote: MemberId(state.vote), commit: LogIndex(state.commit) }
    }

    pub(crate) fn into_library(self) -> pb::HardState {
        pb::HardState { term: self.term.0, vote: self.vote.0, commit: self.commit.0 }
    }
}

/// A configuration: who votes and who learns, and during a joint change also who did and who will.
///
/// Invariant: members stand in ascending order, so that the same configuration has the same bytes everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfState(pub(crate) pb::ConfState);

impl ConfState {
    /// A configuration of these voters.
    #[must_use]
    pub fn of_voters(voters: impl IntoIterator<Item = MemberId>) -> Self {
        let voters = voters.into_iter().map(|id| id.0).collect();
        Self::from_library(pb::ConfState { voters, ..Default::default() })
    }

    /// The library lists members in the order of their hashes.
    pub(crate) fn from_library(mut state: pb::ConfState) -> Self {
        let pb::ConfState { voters, learners, voters_outgoing, learners_next, .. } = &mut state;
        for members in [voters, learners, voters_outgoing, learners_next] {
            members.sort_unstable();
        }
        Self(state)
    }

    /// Who votes.
    pub fn voters(&self) -> impl Iterator<Item = MemberId> {
        self.0.voters.iter().copied().map(MemberId)
    }

    /// Who learns.
    pub fn learners(&self) -> impl Iterator<Item = MemberId> {
        self.0.learners.iter().copied().map(MemberId)
    }

    /// Its bytes (etcd's `raftpb.ConfState`).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.0.encode_to_vec().into()
    }

    /// The configuration of these bytes; nothing if they are none.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        pb::ConfState::decode(bytes).ok().map(Self::from_library)
    }
}

/// What one member tells another (etcd's `raftpb.Message`).
#[derive(Clone, PartialEq)]
pub struct Message(pub(crate) pb::Message);

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pb::Message { from, to, term, index, commit, reject, .. } = self.0;
        f.debug_struct("Message")
            .field("kind", &self.0.get_msg_type())
            .field("from", &MemberId(from))
            .field("to", &MemberId(to))
            .field("term", &term)
            .field("index", &index)
            .field("commit", &commit)
            .field("reject", &reject)
            .field("entries", &self.0.entries.len())
            .finish_non_exhaustive()
    }
}

impl Message {
    /// For whom.
    #[must_use]
    pub fn to(&self) -> MemberId {
        MemberId(self.0.to)
    }

    /// From whom.
    #[must_use]
    pub fn from(&self) -> MemberId {
        MemberId(self.0.from)
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.0.encode_to_vec().into()
    }

    /// The message of these bytes; nothing if they are none.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        pb::Message::decode(bytes).ok().map(Self)
    }
}
