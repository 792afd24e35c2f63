//! What the tests of this crate share: a log in memory, and members over it that talk to each other.

use crate::{
    ConfState, Consensus, Entry, EntryKind, Error, Founder, HardState, LogError, LogRead, Message, Role,
    Settings, bootstrap,
};
use bytes::Bytes;
use raft_proto::eraftpb as pb;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use types::{LogIndex, MemberId, Term};

/// Numbers that look like chance, the same for the same seed.
pub(crate) fn chance(mut seed: u64) -> impl FnMut() -> u64 + Send {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    }
}

/// A log in memory; what is written is durable.
#[derive(Clone, Default)]
pub(crate) struct Paper(pub(crate) Rc<RefCell<Vec<Entry>>>);

impl Paper {
    pub(crate) fn write(&self, entries: Vec<Entry>) {
        let mut paper = self.0.borrow_mut();
        for entry in entries {
            paper.truncate(usize::try_from(entry.index.0 - 1).unwrap());
            paper.push(entry);
        }
    }
}

impl LogRead for Paper {
    fn first_index(&self) -> LogIndex {
        LogIndex(1)
    }

    fn last_index(&self) -> LogIndex {
        LogIndex(self.0.borrow().len() as u64)
    }

    fn term(&self, index: LogIndex) -> Result<Term, LogError> {
        let paper = self.0.borrow();
        let found = usize::try_from(index.0 - 1).ok().and_then(|n| paper.get(n).map(|entry| entry.term));
        found.ok_or(LogError::Unavailable)
    }

    fn entries(&self, low: LogIndex, high: LogIndex, bytes_max: u64) -> Result<Vec<Entry>, LogError> {
        let paper = self.0.borrow();
        let mut bytes = 0;
        let wanted = paper.iter().filter(|entry| low <= entry.index && entry.index < high);
        let room = |entry: &&Entry| {
            bytes += entry.data.len() as u64;
            entry.index == low || bytes <= bytes_max
        };
        Ok(wanted.take_while(room).cloned().collect())
    }
}

pub(crate) fn member(n: u64) -> MemberId {
    MemberId(n)
}

pub(crate) fn settings(n: u64, hard_state: HardState, conf_state: ConfState, applied: u64) -> Settings {
    Settings {
        member: member(n),
        election_ticks: 10,
        heartbeat_ticks: 1,
        hard_state,
        conf_state,
        applied: LogIndex(applied),
    }
}

/// A member started as etcd starts one, with what it has applied.
pub(crate) struct Peer {
    pub(crate) machine: Consensus<Paper>,
    pub(crate) paper: Paper,
    pub(crate) applied: Vec<Entry>,
    pub(crate) reads: Vec<(Bytes, LogIndex)>,
    pub(crate) syncs: usize,
}

pub(crate) fn founders(count: u64) -> Vec<Founder> {
    (1..=count).map(|n| Founder { id: member(n), context: Bytes::from_static(b"{}") }).collect()
}

impl Peer {
    pub(crate) fn found(n: u64, of: u64) -> Self {
        let (entries, hard_state, conf_state) = bootstrap(founders(of));
        let paper = Paper::default();
        let applied = entries.len() as u64;
        paper.write(entries);
        let random = Box::new(chance(n));
        let machine =
            Consensus::new(settings(n, hard_state, conf_state, applied), paper.clone(), random).unwrap();
        Self { machine, paper, applied: Vec::new(), reads: Vec::new(), syncs: 0 }
    }

    /// Does all that is to be done; answers the messages that leave.
    pub(crate) fn work(&mut self) -> Vec<Message> {
        self.work_with(|applied| drop(applied.unwrap()))
    }

    /// The same where committed configuration entries may be nonsense.
    pub(crate) fn work_through(&mut self) {
        self.work_with(drop);
    }

    fn work_with(&mut self, check: impl Fn(Result<ConfState, Error>)) -> Vec<Message> {
        let mut out = Vec::new();
        while let Some(mut ready) = self.machine.ready() {
            out.append(&mut ready.messages);
            self.reads.append(&mut ready.reads);
            self.syncs += usize::from(ready.must_sync);
            self.paper.write(std::mem::take(&mut ready.entries));
            self.machine.persisted(ready.number);
            out.append(&mut ready.persisted_messages);
            for entry in ready.committed {
                if entry.kind != EntryKind::Normal {
                    check(self.machine.apply_conf_change(&entry));
                }
                self.machine.applied(entry.index);
                self.applied.push(entry);
            }
        }
        out
    }
}

/// Runs messages between peers until nobody has one.
pub(crate) fn settle(peers: &mut BTreeMap<u64, Peer>) {
    loop {
        let messages: Vec<_> = peers.values_mut().flat_map(Peer::work).collect();
        if messages.is_empty() {
            return;
        }
        for message in messages {
            let bytes = message.encode();
            let message = Message::decode(bytes).unwrap();
            if let Some(peer) = peers.get_mut(&message.to().0) {
                let _ = peer.machine.step(message);
            }
        }
    }
}

/// Three members of which the first leads.
pub(crate) fn three() -> BTreeMap<u64, Peer> {
    let mut peers: BTreeMap<_, _> = (1..=3).map(|n| (n, Peer::found(n, 3))).collect();
    peers.get_mut(&1).unwrap().machine.campaign().unwrap();
    settle(&mut peers);
    assert_eq!(peers[&1].machine.position().role, Role::Leader);
    peers
}

/// A member alone that leads.
pub(crate) fn lone() -> Peer {
    let mut peer = Peer::found(1, 1);
    peer.machine.campaign().unwrap();
    peer.work();
    assert_eq!(peer.machine.position().role, Role::Leader);
    peer
}

/// A message from member 2 to member 1.
pub(crate) fn message(kind: pb::MessageType, term: u64) -> pb::Message {
    pb::Message { msg_type: kind as i32, from: 2, to: 1, term, ..Default::default() }
}

/// A committed entry that changes the configuration by one member.
pub(crate) fn conf_entry(kind: i32, node_id: u64) -> Entry {
    let change = pb::ConfChange { change_type: kind, node_id, ..Default::default() };
    let data = prost::Message::encode_to_vec(&change).into();
    Entry { term: Term(2), index: LogIndex(9), kind: EntryKind::ConfChange, data }
}
