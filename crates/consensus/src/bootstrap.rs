//! The first entries of a new cluster, as etcd makes them: one configuration entry for each founding member, in the
//! order of their ids, at term 1, all committed. Every founder writes the same.

use crate::words::{ConfState, Entry, EntryKind, HardState};
use bytes::Bytes;
use prost::Message as _;
use raft_proto::eraftpb as pb;
use types::{LogIndex, MemberId, Term};

/// A member of a new cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founder {
    /// Its id.
    pub id: MemberId,
    /// What the entry tells the state machine about it (etcd's JSON).
    pub context: Bytes,
}

/// The entries and the hard state that a founder writes before anything else.
#[must_use]
pub fn bootstrap(mut founders: Vec<Founder>) -> (Vec<Entry>, HardState, ConfState) {
    founders.sort_by_key(|founder| founder.id);
    let conf_state = ConfState::of_voters(founders.iter().map(|founder| founder.id));
    let entries: Vec<_> = (1..)
        .map(LogIndex)
        .zip(founders)
        .map(|(index, founder)| {
            let change = pb::ConfChange {
                change_type: pb::ConfChangeType::AddNode as i32,
                node_id: founder.id.0,
                context: founder.context,
                id: 0,
            };
            let data = change.encode_to_vec().into();
            Entry { term: Term(1), index, kind: EntryKind::ConfChange, data }
        })
        .collect();
    let commit = LogIndex(entries.len() as u64);
    (entries, HardState { term: Term(1), vote: MemberId(0), commit }, conf_state)
}
