//! What is admitted and what is not, for a leader, a follower and a candidate; and that nothing whatever ends the process.

use crate::testing::{Peer, chance, message, three};
use crate::{Error, Message, Role};
use bytes::Bytes;
use raft_proto::eraftpb as pb;
use raft_proto::eraftpb::MessageType as Kind;

fn follower() -> Peer {
    let mut peer = Peer::found(1, 3);
    peer.machine.step(Message(message(Kind::MsgHeartbeat, 5))).unwrap();
    peer.work();
    peer
}

fn leader() -> Peer {
    three().remove(&1).unwrap()
}

fn candidate() -> Peer {
    let mut peer = Peer::found(1, 3);
    peer.machine.campaign().unwrap();
    peer.work();
    assert_eq!(peer.machine.position().role, Role::Candidate);
    peer
}

fn entry(index: u64, term: u64) -> pb::Entry {
    pb::Entry { index, term, data: Bytes::from_static(b"x"), ..Default::default() }
}

fn append(index: u64, log_term: u64, entries: Vec<pb::Entry>) -> pb::Message {
    pb::Message { index, log_term, entries, ..message(Kind::MsgAppend, 5) }
}

fn is_refused(peer: &mut Peer, message: pb::Message) -> bool {
    matches!(peer.machine.step(Message(message)), Err(Error::MessageRefused { .. }))
}

/// Messages that no other member can have sent would act for this one.
#[test]
fn messages_for_or_from_the_wrong_member_are_refused() {
    let mut peer = follower();
    for (from, to, kind) in [
        (2, 9, Kind::MsgHeartbeat),
        (1, 1, Kind::MsgHeartbeat),
        (0, 1, Kind::MsgHeartbeat),
        (2, 1, Kind::MsgHup),
        (2, 1, Kind::MsgBeat),
        (2, 1, Kind::MsgUnreachable),
    ] {
        assert!(is_refused(&mut peer, pb::Message { from, to, ..message(kind, 5) }), "{from} {to} {kind:?}");
    }
    for unknown in [-1, 19, 23, 99] {
        let message = pb::Message { msg_type: unknown, ..message(Kind::MsgHeartbeat, 5) };
        assert!(is_refused(&mut peer, message), "etcd's local messages, and unknown ones: {unknown}");
    }
    peer.machine.step(Message(message(Kind::MsgHeartbeat, 5))).unwrap();
}

/// Each of these ended the process inside the library before it was refused.
#[test]
fn what_the_library_panics_over_is_refused() {
    let with = |kind, term, entries| pb::Message { entries, ..message(kind, term) };
    assert!(is_refused(&mut leader(), with(Kind::MsgPropose, 0, vec![])), "nothing proposed");
    assert!(is_refused(&mut leader(), with(Kind::MsgReadIndex, 0, vec![])), "a read without context");
    assert!(
        is_refused(&mut follower(), with(Kind::MsgPropose, 5, vec![entry(0, 0)])),
        "a proposal with a term"
    );
    assert!(is_refused(&mut follower(), message(Kind::MsgTransferLeader, 5)), "a transfer to pass on");
    assert!(is_refused(&mut follower(), pb::Message { commit: 99, ..message(Kind::MsgHeartbeat, 5) }));
    assert!(is_refused(&mut candidate(), message(Kind::MsgHeartbeat, 0)), "no term");
    let answer = pb::Message { index: 99, ..with(Kind::MsgReadIndexResp, 0, vec![entry(0, 0)]) };
    assert!(is_refused(&mut follower(), answer), "a commit beyond the log in an answer without a term");
    assert!(is_refused(&mut follower(), append(3, 1, vec![entry(100, 5)])), "a gap");
    assert!(
        is_refused(&mut follower(), append(3, 1, vec![entry(4, 5), entry(4, 5)])),
        "the same index twice"
    );
    assert!(is_refused(&mut follower(), append(3, 1, vec![entry(4, 6)])), "a term to come");
    assert!(is_refused(&mut follower(), append(3, 1, vec![entry(4, 5), entry(5, 4)])), "falling terms");
    assert!(
        is_refused(&mut follower(), append(8, 0, vec![entry(9, 5)])),
        "beyond the log, where terms are 0"
    );
    assert!(is_refused(&mut follower(), append(0, 0, vec![entry(1, 0)])), "an entry of no term");
    assert!(is_refused(&mut follower(), append(u64::MAX, 1, vec![entry(0, 5)])), "no index after the last");
    assert!(is_refused(&mut follower(), message(Kind::MsgHeartbeat, u64::MAX)), "no term after the last");
    let last = leader().machine.log().0.borrow().len() as u64;
    let response = |index| pb::Message { index, ..message(Kind::MsgAppendResponse, 2) };
    assert!(is_refused(&mut leader(), response(last + 1)), "an answer beyond the log");
    leader().machine.step(Message(response(last))).unwrap();
}

/// Nobody would take in a snapshot's content, and the library would go on as if somebody had.
#[test]
fn snapshots_are_neither_taken_nor_promised() {
    let conf_state = Some(pb::ConfState { voters: vec![1, 2, 3], ..Default::default() });
    let metadata = Some(pb::SnapshotMetadata { conf_state, index: 50, term: 5 });
    let snapshot = Some(pb::Snapshot { metadata, ..Default::default() });
    assert!(is_refused(&mut follower(), pb::Message { snapshot, ..message(Kind::MsgSnapshot, 5) }));
    let asks = pb::Message { request_snapshot: 3, reject: true, ..message(Kind::MsgAppendResponse, 2) };
    assert!(is_refused(&mut leader(), asks));
}

/// What honest members send is admitted: the same append that is refused with a gap is taken without one.
#[test]
fn honest_messages_are_admitted() {
    let mut peer = follower();
    peer.machine.step(Message(append(3, 1, vec![entry(4, 5), entry(5, 5)]))).unwrap();
    assert_eq!(peer.work().len(), 1);
    assert_eq!(peer.machine.log().0.borrow().len(), 5);
    leader().machine.step(Message(message(Kind::MsgTransferLeader, 2))).unwrap();
    let read = pb::Message { entries: vec![entry(0, 0)], ..message(Kind::MsgReadIndex, 0) };
    leader().machine.step(Message(read)).unwrap();
}

/// Whatever a member is sent, it goes on: messages with random fields, near the values that matter, in any order. The
/// library has dozens of places where it ends the process, and this is the search for one that was overlooked.
#[test]
fn no_message_ends_the_process() {
    for seed in 0..300 {
        let mut random = chance(seed);
        let mut below = |limit: u64| random() % limit;
        let mut peer = [follower, leader, candidate][usize::try_from(seed % 3).unwrap()]();
        for _ in 0..300 {
            let position = peer.machine.position();
            let last = peer.machine.log().0.borrow().len() as u64;
            let near = [0, 1, last, last + 1, position.commit.0, position.commit.0 + 1, last + 5, u64::MAX];
            let terms = [0, 1, position.term.0, position.term.0, position.term.0 + 1, u64::MAX];
            let mut index = || near[usize::try_from(below(8)).unwrap()];
            let (first, commit, reject_hint) = (index(), index(), index());
            let term = terms[usize::try_from(below(6)).unwrap()];
            let log_term = terms[usize::try_from(below(6)).unwrap()];
            let (count, step) = (below(4), u64::from(below(10) > 0));
            let entries = (0..count).map(|n| {
                let index = first.wrapping_add(1).wrapping_add(n.wrapping_mul(step));
                let data = [&b""[..], b"x", b"\x08\x01\x10\x03\x18\x02", b"\xff"]
                    [usize::try_from(below(4)).unwrap()];
                let entry_type = i32::try_from(below(4)).unwrap();
                let term = if below(3) > 0 { log_term } else { term };
                pb::Entry { entry_type, data: Bytes::from_static(data), ..entry(index, term) }
            });
            let entries = entries.collect();
            let message = pb::Message {
                msg_type: i32::try_from(below(20)).unwrap(),
                from: below(5),
                to: 1,
                term,
                log_term,
                index: first,
                entries,
                commit,
                commit_term: below(4),
                reject: below(2) == 0,
                reject_hint,
                context: Bytes::from_static(
                    [&b""[..], b"CampaignTransfer", b"x"][usize::try_from(below(3)).unwrap()],
                ),
                priority: i64::try_from(below(3)).unwrap() - 1,
                ..Default::default()
            };
            let _ = peer.machine.step(Message(message));
            if below(3) == 0 {
                peer.machine.tick();
            }
            if below(5) == 0 {
                let _ = peer.machine.propose(Bytes::from_static(b"p"));
                peer.machine.read_index(Bytes::from_static(b"r"));
            }
            peer.work_through();
        }
    }
}
