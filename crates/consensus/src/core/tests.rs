//! The machine over a log in memory: one member, three members, and each trap of the library.

use super::*;
use crate::log::LogError;
use crate::testing::{
    Paper, Peer, chance, conf_entry, founders, lone, member, message, settings, settle, three,
};
use crate::{EntryKind, bootstrap};
use prost::Message as _;
use std::collections::BTreeMap;

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
    let mut peers = three();
    assert_eq!(peers[&2].machine.position().leader, Some(member(1)));
    peers.get_mut(&1).unwrap().machine.propose(Bytes::from_static(b"x")).unwrap();
    settle(&mut peers);
    for _ in 0..2 {
        peers.values_mut().for_each(|peer| peer.machine.tick());
        settle(&mut peers);
    }
    assert!(peers.values().all(|peer| peer.applied.last().is_some_and(|entry| entry.data == "x")));
    let commit = peers[&1].machine.position().commit;
    for asked in [1, 3] {
        peers.get_mut(&asked).unwrap().machine.read_index(Bytes::from_static(b"ctx"));
        settle(&mut peers);
        for (n, peer) in &mut peers {
            let expected = if *n == asked { vec![(Bytes::from_static(b"ctx"), commit)] } else { Vec::new() };
            assert_eq!(std::mem::take(&mut peer.reads), expected, "member {n}, asked {asked}");
        }
    }
}

/// What is applied here and acknowledged by all is wanted no more, and may leave the memory; as long as one member lags, is new, or
/// nobody leads, its entries stay. A learner counts: it has to catch up too.
#[test]
fn entries_are_wanted_until_the_last_member_has_them() {
    let mut alone = lone();
    alone.machine.propose(Bytes::from_static(b"x")).unwrap();
    let before = alone.machine.applied_index();
    assert_eq!(alone.machine.wanted_from(), before.next());
    alone.work();
    assert_eq!(alone.machine.wanted_from(), alone.paper.last_index().next());
    alone.machine.apply_conf_change(&conf_entry(3, 7)).unwrap();
    assert_eq!(alone.machine.wanted_from(), LogIndex(1), "the new learner has nothing");

    let mut peers = three();
    let mut lagging = peers.remove(&3).unwrap();
    let had = lagging.paper.last_index();
    peers.get_mut(&1).unwrap().machine.propose(Bytes::from_static(b"x")).unwrap();
    settle(&mut peers);
    let leader = &peers[&1].machine;
    assert!(leader.applied_index() > had);
    assert_eq!(leader.wanted_from(), had.next());
    assert_eq!(lagging.machine.wanted_from(), LogIndex(1), "it may lead next");
    lagging.work();
    peers.insert(3, lagging);
    peers.get_mut(&1).unwrap().machine.tick();
    settle(&mut peers);
    assert_eq!(peers[&1].machine.wanted_from(), peers[&1].machine.applied_index().next());
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

/// etcd's numbers of configuration changes: 2 updates a member and must leave the configuration, 3 adds a learner and
/// must not be taken for a voter.
#[test]
fn configuration_changes_have_etcds_numbers() {
    let mut peer = Peer::found(1, 1);
    peer.machine.campaign().unwrap();
    peer.work();
    let mut apply = |kind, id| peer.machine.apply_conf_change(&conf_entry(kind, id)).unwrap();
    assert_eq!(apply(2, 1), ConfState::of_voters([member(1)]));
    let state = apply(3, 7);
    assert_eq!(state.voters().collect::<Vec<_>>(), [member(1)]);
    assert_eq!(state.learners().collect::<Vec<_>>(), [member(7)]);
    let update = pb::ConfChangeSingle { change_type: 2, node_id: 7 };
    let several = pb::ConfChangeV2 { changes: vec![update], ..Default::default() };
    let entry =
        Entry { kind: EntryKind::ConfChangeV2, data: several.encode_to_vec().into(), ..conf_entry(0, 0) };
    assert_eq!(peer.machine.apply_conf_change(&entry).unwrap(), state, "a learner that is updated stays one");
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

/// What a member answers may not leave before its write is durable: an answer for entries that a power failure takes is
/// a lost write. And a member alone must not call committed what is not durable.
#[test]
fn nothing_is_promised_before_the_write_is_durable() {
    let mut peers = three();
    peers.get_mut(&1).unwrap().machine.propose(Bytes::from_static(b"x")).unwrap();
    let appends = peers.get_mut(&1).unwrap().work();
    let follower = peers.get_mut(&2).unwrap();
    let append = appends.into_iter().find(|message| message.to() == member(2)).unwrap();
    follower.machine.step(append).unwrap();
    let ready = follower.machine.ready().unwrap();
    assert!(ready.must_sync && ready.messages.is_empty());
    assert_eq!(ready.persisted_messages.len(), 1);

    let mut peer = lone();
    let commit = peer.machine.position().commit;
    peer.machine.propose(Bytes::from_static(b"x")).unwrap();
    let ready = peer.machine.ready().unwrap();
    peer.paper.write(ready.entries);
    assert!(ready.committed.is_empty() && peer.machine.ready().is_none());
    assert_eq!(peer.machine.position().commit, commit);
    peer.machine.persisted(ready.number);
    assert_eq!(peer.machine.ready().unwrap().committed.len(), 1);
}

/// A leader that has committed nothing in its term drops read requests without a word; whoever waits has to ask again,
/// and is answered then. The member's loop relies on both halves.
#[test]
fn a_read_before_the_first_commit_is_dropped_and_asked_again() {
    let mut peer = Peer::found(1, 1);
    peer.machine.campaign().unwrap();
    peer.machine.read_index(Bytes::from_static(b"early"));
    let ready = peer.machine.ready().unwrap();
    assert_eq!((peer.machine.position().role, ready.reads.len()), (Role::Leader, 0));
    peer.paper.write(ready.entries);
    peer.machine.persisted(ready.number);
    assert!(peer.machine.ready().unwrap().reads.is_empty());
    peer.machine.read_index(Bytes::from_static(b"again"));
    let commit = peer.machine.position().commit;
    assert_eq!(peer.machine.ready().unwrap().reads, [(Bytes::from_static(b"again"), commit)]);
}

/// A leader that is removed while a write is out used to end the process when that write became durable; it steps down,
/// and the others go on without it.
#[test]
fn a_leader_that_is_removed_steps_down_and_the_others_go_on() {
    let mut peers = three();
    let leader = peers.get_mut(&1).unwrap();
    let change = conf_entry(1, 1).data;
    leader.machine.propose_conf_change(change).unwrap();
    settle(&mut peers);
    let leader = peers.get_mut(&1).unwrap();
    assert_eq!(leader.machine.position().role, Role::Follower);
    assert_eq!(leader.machine.conf_state(), ConfState::of_voters([member(2), member(3)]));
    assert!(matches!(leader.machine.campaign(), Err(Error::NoVoter(MemberId(1)))));
    for _ in 0..60 {
        peers.values_mut().for_each(|peer| peer.machine.tick());
        settle(&mut peers);
    }
    let next = peers[&2].machine.position().leader.unwrap();
    assert_ne!(next, member(1));
    peers.get_mut(&next.0).unwrap().machine.propose(Bytes::from_static(b"y")).unwrap();
    settle(&mut peers);
    assert_eq!(peers[&next.0].applied.last().unwrap().data, "y");

    let mut peers = three();
    let leader = peers.get_mut(&1).unwrap();
    leader.machine.propose(Bytes::from_static(b"in flight")).unwrap();
    let ready = leader.machine.ready().unwrap();
    leader.machine.apply_conf_change(&conf_entry(1, 1)).unwrap();
    leader.paper.write(ready.entries);
    leader.machine.persisted(ready.number);
    assert_eq!(leader.machine.position().role, Role::Follower);
}

/// A configuration entry may take effect while the entries handed out with it are not readable yet: the library must
/// not take the log for shorter than it is.
#[test]
fn a_change_applied_before_its_batch_is_written_sees_the_whole_log() {
    let mut peer = lone();
    peer.machine.propose_conf_change(conf_entry(3, 7).data).unwrap();
    let ready = peer.machine.ready().unwrap();
    peer.paper.write(ready.entries);
    peer.machine.persisted(ready.number);
    peer.machine.propose(Bytes::from_static(b"x")).unwrap();
    let ready = peer.machine.ready().unwrap();
    let (committed, handed_out) = (ready.committed.first().unwrap(), ready.entries.last().unwrap().index);
    assert!(handed_out > peer.paper.last_index());
    peer.machine.apply_conf_change(committed).unwrap();
    assert_eq!(peer.machine.node.raft.prs().get(7).unwrap().next_idx, handed_out.0);
    peer.paper.write(ready.entries);
    peer.machine.persisted(ready.number);
}

/// A log that begins behind what the store has applied lost entries whose effects are nowhere; the library would skip
/// them, or panic.
#[test]
fn a_store_behind_the_log_is_refused() {
    struct Late;
    impl LogRead for Late {
        fn first_index(&self) -> LogIndex {
            LogIndex(11)
        }
        fn last_index(&self) -> LogIndex {
            LogIndex(20)
        }
        fn term(&self, _index: LogIndex) -> Result<Term, LogError> {
            Ok(Term(1))
        }
        fn entries(&self, _low: LogIndex, _high: LogIndex, _max: u64) -> Result<Vec<Entry>, LogError> {
            Ok(Vec::new())
        }
    }
    let hard_state = HardState { term: Term(1), vote: member(0), commit: LogIndex(20) };
    let start = |applied| {
        let settings = settings(1, hard_state, ConfState::of_voters([member(1)]), applied);
        Consensus::new(settings, Late, Box::new(|| 0)).map(drop)
    };
    for applied in [0, 5, 9] {
        let refused = start(applied).unwrap_err();
        assert!(matches!(refused, Error::AppliedBeforeLog { first: LogIndex(11), .. }), "{refused}");
    }
    start(10).unwrap();
}

/// What the disk holds may contradict itself; that is a refusal, not the end of the process.
#[test]
fn contradictory_beginnings_are_refused() {
    let start = |member, conf_state| {
        let settings = settings(member, HardState::default(), conf_state, 0);
        Consensus::new(settings, Paper::default(), Box::new(|| 0)).map(drop)
    };
    let learning_voter = pb::ConfState { voters: vec![1], learners: vec![1], ..Default::default() };
    assert!(matches!(start(0, ConfState::default()), Err(Error::Start(_))));
    assert!(matches!(start(1, ConfState(learning_voter)), Err(Error::Start(_))));
    start(1, ConfState::default()).unwrap();
}

/// A disk that fails under the log must stop the member with a reason, not end the process in the library; and nothing
/// may leave that was decided on what could not be read.
#[test]
fn a_log_that_cannot_be_read_is_an_error() {
    struct Broken(Paper);
    impl LogRead for Broken {
        fn first_index(&self) -> LogIndex {
            self.0.first_index()
        }
        fn last_index(&self) -> LogIndex {
            self.0.last_index()
        }
        fn term(&self, index: LogIndex) -> Result<Term, LogError> {
            self.0.term(index)
        }
        fn entries(&self, _low: LogIndex, _high: LogIndex, _max: u64) -> Result<Vec<Entry>, LogError> {
            Err(LogError::Broken("bad sector".into()))
        }
    }
    let peer = lone();
    let hard_state = HardState { term: Term(2), vote: member(1), commit: LogIndex(2) };
    let settings = settings(1, hard_state, ConfState::of_voters([member(1)]), 1);
    let mut machine = Consensus::new(settings, Broken(peer.paper.clone()), Box::new(|| 0)).unwrap();
    machine.campaign().unwrap();
    for _ in 0..2 {
        assert!(matches!(machine.try_ready(), Err(Error::Log(LogError::Broken(_)))));
    }
}

/// The same source must lead to the same timeouts, always: a simulation that differs once in ten resets, as it did when
/// the library happened to draw what was drawn before, cannot be repeated.
#[test]
fn drawn_timeouts_are_the_sources_alone() {
    let drawn = || {
        let mut peer = Peer::found(1, 3);
        let timeouts = (5..1_000).map(|term| {
            let heartbeat = message(pb::MessageType::MsgHeartbeat, term);
            peer.machine.step(Message(heartbeat)).unwrap();
            peer.machine.tick();
            peer.machine.node.raft.randomized_election_timeout()
        });
        timeouts.collect::<Vec<_>>()
    };
    let mut source = chance(1);
    let expected: Vec<_> = (5..1_000).map(|_| 10 + usize::try_from(source() % 10).unwrap()).collect();
    assert_eq!(drawn(), expected);
    assert_eq!(drawn(), expected);
}

/// Logs and error reports print entries and messages; what clients stored must not get there that way.
#[test]
fn printed_forms_hold_no_content() {
    let mut peer = lone();
    peer.machine.propose(Bytes::from_static(b"secret")).unwrap();
    let ready = peer.machine.ready().unwrap();
    let mut append = message(pb::MessageType::MsgAppend, 2);
    append.entries = ready.entries.iter().cloned().map(Entry::into_library).collect();
    let snapshot = pb::Snapshot { data: Bytes::from_static(b"secret"), ..Default::default() };
    let printed = format!("{ready:?} {append:?} {snapshot:?} {:?}", Message(append.clone()));
    let bytes = format!("{:?}", Bytes::from_static(b"secret"));
    assert!(!printed.contains(bytes.trim_matches(['b', '"'])), "{printed}");
    assert!(printed.contains("6 bytes"), "{printed}");
}

/// The same configuration has the same bytes on every member, in whatever order its members came.
#[test]
fn a_configuration_has_one_form() {
    let ids = [0x8e9e_05c5_2164_694d, 7, 0xfd42_2379_fda5_0e48, 1];
    let state = ConfState::of_voters(ids.map(MemberId));
    assert_eq!(state, ConfState::of_voters([1, 3, 0, 2].map(|n: usize| MemberId(ids[n]))));
    assert_eq!(ConfState::decode(state.encode()).unwrap(), state);
    let mut peer = lone();
    for id in ids {
        peer.machine.apply_conf_change(&conf_entry(3, id.max(2))).unwrap();
    }
    let learners: Vec<_> = peer.machine.conf_state().learners().collect();
    assert!(learners.is_sorted() && learners.len() == 4, "{learners:?}");
}

/// The same seeds lead to the same messages, byte for byte, through elections and loss: without that no failure that a
/// simulation finds could be repeated.
#[test]
fn a_cluster_repeats_itself() {
    let run = |seed| {
        let mut peers: BTreeMap<_, _> = (1..=5).map(|n| (n, Peer::found(n, 5))).collect();
        let (mut random, mut sent, mut terms) = (chance(seed), Vec::new(), Vec::new());
        let mut cut_off = None;
        for round in 0..1_000 {
            if round % 100 == 0 {
                cut_off = peers[&1].machine.position().leader;
            }
            for peer in peers.values_mut() {
                peer.machine.tick();
                let _ = peer.machine.propose(Bytes::from_static(b"x"));
            }
            let messages: Vec<_> = peers.values_mut().flat_map(Peer::work).collect();
            for message in messages {
                sent.push(message.encode());
                let is_cut = [message.from(), message.to()].map(Some).contains(&cut_off);
                if random() % 4 > 0 && !is_cut {
                    let _ = peers.get_mut(&message.to().0).unwrap().machine.step(message);
                }
            }
            terms.push(peers[&1].machine.position().term);
        }
        (sent, terms)
    };
    let (sent, terms) = run(7);
    assert!(*terms.last().unwrap() > Term(3), "there were no elections: {:?}", terms.last());
    assert!(run(7) == (sent.clone(), terms), "the second run differs");
    assert!(run(8).0 != sent, "the seed makes no difference");
}
