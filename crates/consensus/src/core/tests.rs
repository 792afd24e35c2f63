//! The machine over a log in memory: one member, three members, and each trap of the library.

use super::*;
use crate::log::LogError;
use crate::{Founder, bootstrap};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A log in memory; what is written is durable.
#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<Entry>>>);

impl Paper {
    fn write(&self, entries: Vec<Entry>) {
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

    fn entries(&self, low: LogIndex, high: LogIndex, _bytes_max: u64) -> Result<Vec<Entry>, LogError> {
        let paper = self.0.borrow();
        Ok(paper.iter().filter(|entry| low <= entry.index && entry.index < high).cloned().collect())
    }
}

fn member(n: u64) -> MemberId {
    MemberId(n)
}

fn settings(n: u64, hard_state: HardState, conf_state: ConfState, applied: u64) -> Settings {
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
struct Peer {
    machine: Consensus<Paper>,
    paper: Paper,
    applied: Vec<Entry>,
    syncs: usize,
}

fn founders(count: u64) -> Vec<Founder> {
    (1..=count).map(|n| Founder { id: member(n), context: Bytes::from_static(b"{}") }).collect()
}

impl Peer {
    fn found(n: u64, of: u64) -> Self {
        let (entries, hard_state, conf_state) = bootstrap(founders(of));
        let paper = Paper::default();
        let applied = entries.len() as u64;
        paper.write(entries);
        let mut seed = n;
        let random = Box::new(move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        });
        let machine =
            Consensus::new(settings(n, hard_state, conf_state, applied), paper.clone(), random).unwrap();
        Self { machine, paper, applied: Vec::new(), syncs: 0 }
    }

    /// Does all that is to be done; answers the messages that leave.
    fn work(&mut self) -> Vec<Message> {
        let mut out = Vec::new();
        while let Some(mut ready) = self.machine.ready() {
            out.append(&mut ready.messages);
            self.syncs += usize::from(ready.must_sync);
            self.paper.write(std::mem::take(&mut ready.entries));
            self.machine.persisted(ready.number);
            out.append(&mut ready.persisted_messages);
            for entry in ready.committed {
                if entry.kind != EntryKind::Normal {
                    self.machine.apply_conf_change(&entry).unwrap();
                }
                self.machine.applied(entry.index);
                self.applied.push(entry);
            }
        }
        out
    }
}

/// Runs messages between peers until nobody has one.
fn settle(peers: &mut BTreeMap<u64, Peer>) {
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

/// One member alone elects itself and commits what it is given, and a batch of proposals costs one sync, not one each:
/// group commit stands on that.
#[test]
fn a_lone_member_commits_batches_with_one_sync_each() {
    let mut peer = Peer::found(1, 1);
    peer.machine.campaign().unwrap();
    peer.work();
    assert_eq!(peer.machine.position().role, Role::Leader);
    assert!(peer.machine.is_alone());
    let before = peer.syncs;
    for batch in 0..10 {
        for n in 0..100 {
            peer.machine.propose(Bytes::from(format!("{batch}/{n}"))).unwrap();
        }
        peer.work();
    }
    let data: Vec<_> = peer.applied.iter().filter(|entry| !entry.data.is_empty()).collect();
    assert_eq!(data.len(), 1_000);
    assert_eq!(data[999].data, "9/99");
    assert_eq!(peer.syncs - before, 10);
}

/// Three members elect a leader, replicate, and serve a linearizable read through the index the leader confirms.
#[test]
fn three_members_elect_replicate_and_confirm_reads() {
    let mut peers: BTreeMap<_, _> = (1..=3).map(|n| (n, Peer::found(n, 3))).collect();
    peers.get_mut(&1).unwrap().machine.campaign().unwrap();
    settle(&mut peers);
    assert_eq!(peers[&2].machine.position().leader, Some(member(1)));
    peers.get_mut(&1).unwrap().machine.propose(Bytes::from_static(b"x")).unwrap();
    settle(&mut peers);
    for _ in 0..2 {
        peers.values_mut().for_each(|peer| peer.machine.tick());
        settle(&mut peers);
    }
    assert!(peers.values().all(|peer| peer.applied.last().is_some_and(|entry| entry.data == "x")));
    let leader = peers.get_mut(&1).unwrap();
    leader.machine.read_index(Bytes::from_static(b"ctx"));
    let sent = leader.machine.ready().unwrap().messages;
    let mut reads = Vec::new();
    for message in sent {
        let follower = peers.get_mut(&message.to().0).unwrap();
        follower.machine.step(message).unwrap();
        for answer in follower.work() {
            peers.get_mut(&1).unwrap().machine.step(answer).unwrap();
            while let Some(ready) = peers.get_mut(&1).unwrap().machine.ready() {
                reads.extend(ready.reads);
            }
            break;
        }
    }
    assert_eq!(reads, [(Bytes::from_static(b"ctx"), peers[&1].machine.position().commit)]);
}

/// A store that is ahead of the recorded commit is the normal case after a crash (the commit is not synced by itself);
/// the library would panic on it.
#[test]
fn a_store_ahead_of_the_recorded_commit_raises_it() {
    let mut peer = Peer::found(1, 1);
    peer.machine.campaign().unwrap();
    peer.work();
    peer.machine.propose(Bytes::from_static(b"x")).unwrap();
    peer.work();
    let stale = HardState { term: Term(2), vote: member(1), commit: LogIndex(1) };
    let restarted = settings(1, stale, ConfState::of_voters([member(1)]), 3);
    let machine = Consensus::new(restarted, peer.paper.clone(), Box::new(|| 0)).unwrap();
    assert_eq!(machine.position().commit, LogIndex(3));
}

/// A store ahead of the whole log means that the log lost its end: going on would give the same index two meanings.
#[test]
fn a_store_ahead_of_the_log_is_refused() {
    let peer = Peer::found(1, 1);
    let settings = settings(1, HardState::default(), ConfState::of_voters([member(1)]), 9);
    let refused = Consensus::new(settings, peer.paper.clone(), Box::new(|| 0)).err().unwrap();
    assert!(
        matches!(refused, Error::AppliedBeyondLog { applied: LogIndex(9), last: LogIndex(1) }),
        "{refused}"
    );
}

/// A heartbeat whose commit lies beyond the log would end the process inside the library: it must be refused before.
#[test]
fn a_heartbeat_with_a_commit_beyond_the_log_is_refused() {
    let mut peer = Peer::found(1, 3);
    let heartbeat = |commit| {
        let mut message = pb::Message { from: 2, to: 1, term: 5, commit, ..Default::default() };
        message.set_msg_type(pb::MessageType::MsgHeartbeat);
        Message(message)
    };
    assert!(matches!(peer.machine.step(heartbeat(99)), Err(Error::MessageRefused { .. })));
    peer.machine.step(heartbeat(3)).unwrap();
}

/// Messages that no other member can have sent are refused: they would act for this one.
#[test]
fn messages_for_or_from_the_wrong_member_are_refused() {
    let mut peer = Peer::found(1, 3);
    let hup = pb::MessageType::MsgHup;
    let append = pb::MessageType::MsgAppend;
    for (from, to, kind) in [(2, 9, append), (1, 1, append), (0, 1, append), (2, 1, hup)] {
        let mut message = pb::Message { from, to, term: 5, ..Default::default() };
        message.set_msg_type(kind);
        let answer = peer.machine.step(Message(message));
        assert!(matches!(answer, Err(Error::MessageRefused { .. })), "{from} {to} {kind:?}");
    }
}

/// etcd's numbers of configuration changes: 2 updates a member and must leave the configuration, 3 adds a learner and
/// must not be taken for a voter.
#[test]
fn configuration_changes_have_etcds_numbers() {
    let mut peer = Peer::found(1, 1);
    peer.machine.campaign().unwrap();
    peer.work();
    let mut apply = |kind: i32, node_id| {
        let change = pb::ConfChange { change_type: kind, node_id, ..Default::default() };
        let data = change.encode_to_vec().into();
        let entry = Entry { term: Term(2), index: LogIndex(9), kind: EntryKind::ConfChange, data };
        peer.machine.apply_conf_change(&entry).unwrap()
    };
    assert_eq!(apply(2, 1), ConfState::of_voters([member(1)]));
    let state = apply(3, 7);
    assert_eq!(state.voters().collect::<Vec<_>>(), [member(1)]);
    assert_eq!(state.learners().collect::<Vec<_>>(), [member(7)]);
}

/// Elections are drawn from the source that was handed in, so that a simulation is repeatable.
#[test]
fn election_timeouts_come_from_the_given_source() {
    let elected_after = |draw: u64| {
        let (entries, hard_state, conf_state) = bootstrap(founders(1));
        let paper = Paper::default();
        paper.write(entries);
        let random = Box::new(move || draw);
        let mut machine = Consensus::new(settings(1, hard_state, conf_state, 1), paper, random).unwrap();
        (1..100).find(|_| {
            machine.tick();
            machine.position().role == Role::Leader
        })
    };
    assert_eq!((elected_after(0), elected_after(7)), (Some(10), Some(17)));
}

/// A founder's first entries are etcd's: one configuration entry a member, term 1, committed.
#[test]
fn bootstrap_writes_etcds_first_entries() {
    let (entries, hard_state, conf_state) = bootstrap(founders(3));
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|entry| entry.term == Term(1) && entry.kind == EntryKind::ConfChange));
    assert_eq!(hard_state, HardState { term: Term(1), vote: MemberId(0), commit: LogIndex(3) });
    assert_eq!(conf_state.voters().count(), 3);
    let first = pb::ConfChange::decode(entries[0].data.clone()).unwrap();
    assert_eq!((first.node_id, first.change_type, &first.context[..]), (1, 0, &b"{}"[..]));
}
