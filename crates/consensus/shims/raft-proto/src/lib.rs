//! Stands in for `raft-proto`: the messages of the raft library over the current `prost`, with entries that share the
//! buffer they were decoded from, and without the protobuf runtime that has an advisory.
//!
//! Owns the shapes, the accessors and the few functions that the raft library calls. Numbers are etcd's `raftpb`: where
//! the two differ (`ConfChangeType`), etcd's are used, so that an entry means the same to both. The raft library does not
//! know etcd's "update" (2); whoever hands it entries must keep those away (`consensus` does).
#![forbid(unsafe_code)]

mod confchange;
pub mod eraftpb;

pub use confchange::{ConfChangeI, conf_state_eq, new_conf_change_single};

/// All messages by name, as the raft library imports them.
pub mod prelude {
    pub use crate::eraftpb::{
        ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry,
        EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
    };
}
