//! What a member acknowledges it keeps, what it is told it tells.

use crate::world::{PATIENCE, Sink, World, carry_out, end, key, keys, propose, put, recorded};
use bytes::Bytes;
use node::Refused;
use node::meter::Counter;
use node::watch::{WatchRequest, WatchUpdate};
use state::auth::Renewal;
use state::command::{Command, LeaseGrant, Put, PutLease, PutValue};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use types::{KeyRange, LeaseId, Revision};

/// An acknowledged write survives a stop, and a stop in order leaves nothing to replay twice.
#[test]
fn what_is_written_is_there_after_a_stop() {
    let world = World::new();
    let member = world.start();
    for n in 0..120 {
        let done = carry_out(&member, put(&format!("k{n:03}"), 0)).unwrap();
        assert_eq!(done.applied.revision, Revision(n + 2));
    }
    end(member);
    let member = world.start();
    assert_eq!(keys(&member).len(), 120);
    assert_eq!(carry_out(&member, put("after", 0)).unwrap().applied.revision, Revision(122));
    member.stop();
}

/// The power fails at any moment: whatever was acknowledged before is there afterwards, in order and once.
#[test]
fn what_was_acknowledged_survives_a_crash() {
    for seed in 0..12 {
        let world = World::new();
        let member = world.start();
        let count = 30 + seed * 17;
        for n in 0..count {
            carry_out(&member, put(&format!("k{n:04}"), 0)).unwrap();
        }
        world.disk.crash(seed);
        end(member);
        let member = world.start();
        let expected: Vec<_> = (0..count).map(|n| format!("k{n:04}")).collect();
        assert_eq!(keys(&member), expected, "seed {seed}");
        let next = carry_out(&member, put("next", 0)).unwrap();
        assert_eq!(next.applied.revision.0, i64::try_from(count).unwrap() + 2, "seed {seed}");
        member.stop();
    }
}

/// What a member does is counted and measured where it happens, and what it does again from its log after a crash is not
/// counted a second time: a dashboard would show a burst of writes that nobody made.
#[test]
fn what_is_done_is_counted_once() {
    let world = World::new();
    let member = world.start();
    for n in 0..20 {
        carry_out(&member, put(&format!("k{n:02}"), 0)).unwrap();
    }
    carry_out(&member, Command::LeaseGrant(LeaseGrant { id: LeaseId(9), ttl_seconds: 60 })).unwrap();
    carry_out(&member, put("leased", 9)).unwrap();
    carry_out(&member, Command::LeaseRevoke(LeaseId(9))).unwrap();
    assert!(carry_out(&member, Command::LeaseRevoke(LeaseId(9))).unwrap().applied.result.is_err());
    member.keep_alive(&recorded(Renewal(LeaseId(9)))).unwrap_err();
    let (counts, tally) = (member.counts(), member.gauges().tally());
    assert_eq!((tally.puts, tally.deletes, tally.txns), (21, 1, 0));
    assert_eq!(tally.put_bytes, 20 * 6 + 12);
    let leases = [&counts.leases_granted, &counts.leases_revoked, &counts.leases_renewed];
    assert_eq!(leases.map(Counter::value), [1, 1, 0]);
    assert_eq!(counts.lease_lives.read().sum, 60.0);
    let noted = |timed: &node::Timed| {
        let each = timed.noted().map(|(op, well, took)| (op.name(), well, took.read().count));
        each.filter(|(op, ..)| !op.starts_with("Cluster")).collect::<Vec<_>>()
    };
    let revoked = [("LeaseRevoke", false, 1), ("LeaseRevoke", true, 1)];
    let applied = [("LeaseGrant", true, 1), revoked[0], revoked[1], ("Put", true, 21)];
    assert_eq!(noted(&counts.applied), applied);
    // A refusal is an answer, as in etcd.
    let requests = [("LeaseGrant", true, 1), ("LeaseRevoke", true, 2), ("Put", true, 21)];
    assert_eq!(noted(&counts.requests), requests);
    assert!(counts.log_syncs.read().count >= 24 && counts.log_bytes.value() > 24 * 20);
    world.disk.crash(1);
    end(member);
    let member = world.start();
    assert_eq!(member.gauges().tally(), state::Tallied::default());
    assert_eq!(member.counts().leases_granted.value(), 0);
    assert_eq!(keys(&member).len(), 20);
    member.stop();
    assert!(member.counts().commits.read().count >= 1, "a stop in order makes a checkpoint");
}

/// Many proposals at once share batches, and each is answered with its own outcome.
#[test]
fn concurrent_proposals_are_each_answered() {
    let world = World::new();
    let member = world.start();
    let answers: Vec<_> = (0..2_000).map(|n| propose(&member, put(&format!("k{n:05}"), 0))).collect();
    let mut revisions: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.recv_timeout(PATIENCE).unwrap().unwrap().applied.revision.0)
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (2..2_002).collect::<Vec<_>>());
    member.stop();
}

/// A watcher hears of a change that was made after it stood, and of one before when it asks for the past.
#[test]
fn watchers_hear_of_changes() {
    let world = World::new();
    let member = world.start();
    carry_out(&member, put("before", 0)).unwrap();
    let (updates, heard) = sync_channel(100);
    let stream = member.watch(Box::new(Sink(updates)));
    let request = WatchRequest {
        id: None,
        range: KeyRange::all(),
        start: Revision(2),
        no_puts: false,
        no_deletes: false,
        prev_kv: false,
        progress_notify: false,
    };
    stream.create(recorded(request));
    carry_out(&member, put("since", 0)).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let WatchUpdate::Events { events, .. } = heard.recv_timeout(PATIENCE).unwrap() {
            let name = |pair: &state::outcome::Pair| pair.view().unwrap().key.to_vec();
            seen.extend(events.iter().map(|event| name(&event.pair)));
        }
    }
    assert_eq!(seen, [b"before".to_vec(), b"since".to_vec()]);
    member.stop();
}

/// A lease that nobody renews ends with its keys, by the member's own proposal; a renewed one stays.
#[test]
fn an_expired_lease_takes_its_keys_along() {
    let world = World::new();
    let member = world.start();
    for id in [1, 2] {
        carry_out(&member, Command::LeaseGrant(LeaseGrant { id: LeaseId(id), ttl_seconds: 10 })).unwrap();
    }
    carry_out(&member, put("a", 1)).unwrap();
    carry_out(&member, put("b", 2)).unwrap();
    world.clock.advance(Duration::from_secs(9));
    assert_eq!(member.keep_alive(&recorded(Renewal(LeaseId(2)))), Ok(10));
    world.clock.advance(Duration::from_secs(2));
    let began = std::time::Instant::now();
    while keys(&member).len() == 2 && began.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert_eq!(keys(&member), ["b"]);
    assert_eq!(member.keep_alive(&recorded(Renewal(LeaseId(1)))), Err(Refused::LeaseNotFound));
    member.stop();
}

/// Leases come back after a restart with their keys and a whole life.
#[test]
fn leases_survive_a_restart() {
    let world = World::new();
    let member = world.start();
    carry_out(&member, Command::LeaseGrant(LeaseGrant { id: LeaseId(9), ttl_seconds: 60 })).unwrap();
    carry_out(&member, put("a", 9)).unwrap();
    end(member);
    let member = world.start();
    assert_eq!(member.lease_remaining_seconds(&recorded(LeaseId(9))), Some(60));
    assert_eq!(member.keep_alive(&recorded(Renewal(LeaseId(9)))), Ok(60));
    member.stop();
}

/// A request whose entry would be too large is refused before it reaches the log.
#[test]
fn an_oversized_request_is_refused() {
    let world = World::new();
    let member = world.start();
    let value = PutValue::Set(Bytes::from(vec![0; 1_572_864]));
    let huge = Put { key: key("k"), value, lease: PutLease::Set(LeaseId::NONE), prev_kv: false };
    let refused = carry_out(&member, Command::Put(huge)).unwrap_err();
    assert!(matches!(refused, Refused::TooLarge { limit: 1_572_864, .. }), "{refused}");
    member.stop();
}

/// A disk that fails stops the member: it says so once, refuses what waits, and never acknowledges again.
#[test]
fn a_failing_disk_stops_the_member() {
    let world = World::new();
    let member = world.start();
    carry_out(&member, put("a", 0)).unwrap();
    world.disk.fail_at(1, env::sim::Fault::Io);
    let refused = (0..3).map(|_| carry_out(&member, put("b", 0))).find_map(Result::err);
    assert!(refused.is_some(), "the member went on");
    assert!(carry_out(&member, put("c", 0)).is_err());
    let told = world.failures.1.recv_timeout(PATIENCE).unwrap();
    assert!(!told.is_empty());
    member.stop();
}

/// A second start on the same directory is refused while the first runs: two writers would destroy it.
#[test]
fn a_directory_in_use_is_refused() {
    let world = World::new();
    let member = world.start();
    let refused = world.try_start(50).err().expect("the directory is in use");
    assert!(refused.to_string().contains("in use"), "{refused}");
    member.stop();
}

/// After a stop every request is refused, none hangs.
#[test]
fn a_stopped_member_refuses() {
    let world = World::new();
    let member = world.start();
    member.stop();
    assert_eq!(carry_out(&member, put("a", 0)).unwrap_err(), Refused::Stopped);
    member.stop();
}
