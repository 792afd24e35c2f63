//! The messages, with the numbers of etcd's `raftpb` and the accessors that the raft library calls.
//!
//! Field by field the same on the wire as etcd's, but for what etcd does not know (`Entry` 5 and 6, `Message` 13 to 16),
//! which is left unset toward its members.
#![allow(missing_docs, reason = "the fields are the raft paper's words")]

use bytes::Bytes;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum EntryType {
    EntryNormal = 0,
    EntryConfChange = 1,
    EntryConfChangeV2 = 2,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum MessageType {
    MsgHup = 0,
    MsgBeat = 1,
    MsgPropose = 2,
    MsgAppend = 3,
    MsgAppendResponse = 4,
    MsgRequestVote = 5,
    MsgRequestVoteResponse = 6,
    MsgSnapshot = 7,
    MsgHeartbeat = 8,
    MsgHeartbeatResponse = 9,
    MsgUnreachable = 10,
    MsgSnapStatus = 11,
    MsgCheckQuorum = 12,
    MsgTransferLeader = 13,
    MsgTimeoutNow = 14,
    MsgReadIndex = 15,
    MsgReadIndexResp = 16,
    MsgRequestPreVote = 17,
    MsgRequestPreVoteResponse = 18,
}

/// How several changes are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum ConfChangeTransition {
    Auto = 0,
    Implicit = 1,
    Explicit = 2,
}

/// What happens to a node. etcd's numbers; its 2, update, is unknown to the raft library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum ConfChangeType {
    AddNode = 0,
    RemoveNode = 1,
    AddLearnerNode = 3,
}

/// A position of the log with what stands there. Printed without its content, which may be secret.
#[derive(Clone, PartialEq, ::prost::Message)]
#[prost(skip_debug)]
pub struct Entry {
    #[prost(enumeration = "EntryType", tag = "1")]
    pub entry_type: i32,
    #[prost(uint64, tag = "2")]
    pub term: u64,
    #[prost(uint64, tag = "3")]
    pub index: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub data: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub context: Bytes,
    #[prost(bool, tag = "5")]
    pub sync_log: bool,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { term, index, data, .. } = self;
        write!(f, "Entry({index} of term {term}, {:?}, {} bytes)", self.entry_type(), data.len())
    }
}

impl Entry {
    pub fn get_entry_type(&self) -> EntryType {
        self.entry_type()
    }

    pub fn get_term(&self) -> u64 {
        self.term
    }

    pub fn get_index(&self) -> u64 {
        self.index
    }

    pub fn set_index(&mut self, index: u64) {
        self.index = index;
    }

    pub fn get_data(&self) -> &[u8] {
        &self.data
    }

    pub fn take_data(&mut self) -> Bytes {
        std::mem::take(&mut self.data)
    }

    pub fn take_context(&mut self) -> Bytes {
        std::mem::take(&mut self.context)
    }
}

/// What a snapshot covers.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SnapshotMetadata {
    #[prost(message, optional, tag = "1")]
    pub conf_state: Option<ConfState>,
    #[prost(uint64, tag = "2")]
    pub index: u64,
    #[prost(uint64, tag = "3")]
    pub term: u64,
}

impl SnapshotMetadata {
    pub fn get_conf_state(&self) -> &ConfState {
        static ABSENT: std::sync::LazyLock<ConfState> = std::sync::LazyLock::new(ConfState::default);
        self.conf_state.as_ref().unwrap_or(&ABSENT)
    }

    pub fn mut_conf_state(&mut self) -> &mut ConfState {
        self.conf_state.get_or_insert_default()
    }

    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = Some(conf_state);
    }

    pub fn take_conf_state(&mut self) -> ConfState {
        self.conf_state.take().unwrap_or_default()
    }

    pub fn get_index(&self) -> u64 {
        self.index
    }

    pub fn set_index(&mut self, index: u64) {
        self.index = index;
    }

    pub fn get_term(&self) -> u64 {
        self.term
    }
}

/// A state in place of the log that led to it. Printed without its content, which may be secret.
#[derive(Clone, PartialEq, ::prost::Message)]
#[prost(skip_debug)]
pub struct Snapshot {
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<SnapshotMetadata>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({:?}, {} bytes)", self.metadata, self.data.len())
    }
}

impl Snapshot {
    pub fn get_data(&self) -> &[u8] {
        &self.data
    }

    pub fn take_data(&mut self) -> Bytes {
        std::mem::take(&mut self.data)
    }

    pub fn get_metadata(&self) -> &SnapshotMetadata {
        static ABSENT: std::sync::LazyLock<SnapshotMetadata> =
            std::sync::LazyLock::new(SnapshotMetadata::default);
        self.metadata.as_ref().unwrap_or(&ABSENT)
    }

    pub fn mut_metadata(&mut self) -> &mut SnapshotMetadata {
        self.metadata.get_or_insert_default()
    }

    pub fn set_metadata(&mut self, metadata: SnapshotMetadata) {
        self.metadata = Some(metadata);
    }

    pub fn take_metadata(&mut self) -> SnapshotMetadata {
        self.metadata.take().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.get_metadata().index == 0
    }
}

/// What one member tells another.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Message {
    #[prost(enumeration = "MessageType", tag = "1")]
    pub msg_type: i32,
    #[prost(uint64, tag = "2")]
    pub to: u64,
    #[prost(uint64, tag = "3")]
    pub from: u64,
    #[prost(uint64, tag = "4")]
    pub term: u64,
    #[prost(uint64, tag = "5")]
    pub log_term: u64,
    #[prost(uint64, tag = "6")]
    pub index: u64,
    #[prost(message, repeated, tag = "7")]
    pub entries: Vec<Entry>,
    #[prost(uint64, tag = "8")]
    pub commit: u64,
    #[prost(uint64, tag = "15")]
    pub commit_term: u64,
    #[prost(message, optional, tag = "9")]
    pub snapshot: Option<Snapshot>,
    #[prost(uint64, tag = "13")]
    pub request_snapshot: u64,
    #[prost(bool, tag = "10")]
    pub reject: bool,
    #[prost(uint64, tag = "11")]
    pub reject_hint: u64,
    #[prost(bytes = "bytes", tag = "12")]
    pub context: Bytes,
    #[prost(uint64, tag = "14")]
    pub deprecated_priority: u64,
    #[prost(int64, tag = "16")]
    pub priority: i64,
}

impl Message {
    pub fn get_msg_type(&self) -> MessageType {
        self.msg_type()
    }

    pub fn get_term(&self) -> u64 {
        self.term
    }

    pub fn get_index(&self) -> u64 {
        self.index
    }

    pub fn set_index(&mut self, index: u64) {
        self.index = index;
    }

    pub fn mut_entries(&mut self) -> &mut Vec<Entry> {
        &mut self.entries
    }

    pub fn set_entries(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
    }

    pub fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    pub fn set_commit(&mut self, commit: u64) {
        self.commit = commit;
    }

    pub fn get_snapshot(&self) -> &Snapshot {
        static ABSENT: std::sync::LazyLock<Snapshot> = std::sync::LazyLock::new(Snapshot::default);
        self.snapshot.as_ref().unwrap_or(&ABSENT)
    }

    pub fn mut_snapshot(&mut self) -> &mut Snapshot {
        self.snapshot.get_or_insert_default()
    }

    pub fn set_snapshot(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
    }

    pub fn take_snapshot(&mut self) -> Snapshot {
        self.snapshot.take().unwrap_or_default()
    }

    pub fn take_context(&mut self) -> Bytes {
        std::mem::take(&mut self.context)
    }

    pub fn set_priority(&mut self, priority: i64) {
        self.priority = priority;
    }
}

/// What a member must not forget: its term, its vote, how far the log is committed.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct HardState {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub vote: u64,
    #[prost(uint64, tag = "3")]
    pub commit: u64,
}

impl HardState {
    pub fn get_term(&self) -> u64 {
        self.term
    }

    pub fn set_commit(&mut self, commit: u64) {
        self.commit = commit;
    }
}

/// A configuration: who votes, who learns.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConfState {
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    pub voters: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "2")]
    pub learners: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub voters_outgoing: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub learners_next: Vec<u64>,
    #[prost(bool, tag = "5")]
    pub auto_leave: bool,
}

impl ConfState {
    pub fn get_voters(&self) -> &[u64] {
        &self.voters
    }

    pub fn set_voters(&mut self, voters: Vec<u64>) {
        self.voters = voters;
    }

    pub fn get_learners(&self) -> &[u64] {
        &self.learners
    }

    pub fn set_learners(&mut self, learners: Vec<u64>) {
        self.learners = learners;
    }

    pub fn get_voters_outgoing(&self) -> &[u64] {
        &self.voters_outgoing
    }

    pub fn set_voters_outgoing(&mut self, voters_outgoing: Vec<u64>) {
        self.voters_outgoing = voters_outgoing;
    }

    pub fn get_learners_next(&self) -> &[u64] {
        &self.learners_next
    }

    pub fn set_learners_next(&mut self, learners_next: Vec<u64>) {
        self.learners_next = learners_next;
    }
}

/// The change of one node, older form.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConfChange {
    #[prost(enumeration = "ConfChangeType", tag = "2")]
    pub change_type: i32,
    #[prost(uint64, tag = "3")]
    pub node_id: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub context: Bytes,
    #[prost(uint64, tag = "1")]
    pub id: u64,
}

impl ConfChange {
    pub fn get_change_type(&self) -> ConfChangeType {
        self.change_type()
    }

    pub fn take_context(&mut self) -> Bytes {
        std::mem::take(&mut self.context)
    }
}

/// The change of one node.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConfChangeSingle {
    #[prost(enumeration = "ConfChangeType", tag = "1")]
    pub change_type: i32,
    #[prost(uint64, tag = "2")]
    pub node_id: u64,
}

impl ConfChangeSingle {
    pub fn get_change_type(&self) -> ConfChangeType {
        self.change_type()
    }
}

/// Changes of several nodes, newer form.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConfChangeV2 {
    #[prost(enumeration = "ConfChangeTransition", tag = "1")]
    pub transition: i32,
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<ConfChangeSingle>,
    #[prost(bytes = "bytes", tag = "3")]
    pub context: Bytes,
}

impl ConfChangeV2 {
    pub fn get_transition(&self) -> ConfChangeTransition {
        self.transition()
    }

    pub fn set_changes(&mut self, changes: Vec<ConfChangeSingle>) {
        self.changes = changes;
    }

    pub fn take_context(&mut self) -> Bytes {
        std::mem::take(&mut self.context)
    }
}

impl<V: IntoIterator<Item = u64>, L: IntoIterator<Item = u64>> From<(V, L)> for ConfState {
    fn from((voters, learners): (V, L)) -> Self {
        Self {
            voters: voters.into_iter().collect(),
            learners: learners.into_iter().collect(),
            ..Self::default()
        }
    }
}
