//! Leases: made, attached, detached, ended; their times are carried, never looked at.

use crate::rig::{Rig, get, put};
use state::changes::LeaseChange;
use state::command::*;
use state::outcome::{EventKind, Outcome};
use state::{LeaseView, Refusal};
use types::limits::LEASE_TTL_SECONDS_MAX;
use types::{LeaseId, Revision};

fn keys(rig: &Rig, id: i64) -> Vec<String> {
    let LeaseView { keys, .. } = rig.reader().lease(LeaseId(id)).unwrap();
    keys.iter().map(|key| key.as_slice().escape_ascii().to_string()).collect()
}

/// etcd's refusals, in its order: no id, too long, taken.
#[test]
fn grants_are_refused_as_in_etcd() {
    let mut rig = Rig::new();
    let mut grant =
        |id, ttl_seconds| rig.apply(Command::LeaseGrant(LeaseGrant { id: LeaseId(id), ttl_seconds }));
    assert_eq!(grant(5, 60), Ok(Outcome::LeaseGrant { id: LeaseId(5), ttl_seconds: 60 }));
    assert_eq!(grant(0, i64::MAX), Err(Refusal::LeaseNotFound(LeaseId(0))));
    assert_eq!(grant(5, i64::MAX), Err(Refusal::LeaseTtlTooLarge(i64::MAX)));
    assert_eq!(grant(5, 60), Err(Refusal::LeaseExists(LeaseId(5))));
    assert!(grant(-6, LEASE_TTL_SECONDS_MAX).is_ok());
    assert_eq!(rig.revision(), 1);
    let known = [(LeaseId(-6), LEASE_TTL_SECONDS_MAX, 0), (LeaseId(5), 60, 0)];
    assert_eq!(rig.reader().leases(), known);
}

/// A key hangs on the lease of its last put, and on none after a deletion: else a revoke would delete a stranger's key.
#[test]
fn a_key_hangs_on_its_last_lease() {
    let mut rig = Rig::new();
    rig.grant(1);
    rig.grant(2);
    ["b", "a", "c", "d"].iter().for_each(|key| rig.put_leased(key, 1));
    assert_eq!(keys(&rig, 1), ["a", "b", "c", "d"]);
    rig.put_leased("a", 2);
    rig.put("b", "no lease");
    rig.delete("c");
    assert_eq!((keys(&rig, 1), keys(&rig, 2)), (vec!["d".into()], vec!["a".into()]));
    rig.put_leased("d", 1);
    assert_eq!(keys(&rig, 1), ["d"]);
}

/// A revoke deletes the lease's keys in order, in one revision, and the lease with them; without keys it takes none.
#[test]
fn a_revoke_deletes_its_keys_in_one_revision() {
    let mut rig = Rig::new();
    rig.grant(1);
    rig.grant(2);
    ["z", "a", "m"].iter().for_each(|key| rig.put_leased(key, 1));
    rig.put("other", "1");
    rig.machine.take_changes();
    rig.apply(Command::LeaseRevoke(LeaseId(1))).unwrap();
    let changes = rig.machine.take_changes();
    let events = &changes.revisions[0].events;
    let gone: Vec<_> = events.iter().map(|e| e.pair.view().unwrap().key.escape_ascii().to_string()).collect();
    assert_eq!((gone, changes.revisions.len()), (vec!["a".into(), "m".into(), "z".into()], 1));
    assert!(events.iter().all(|e| e.kind == EventKind::Delete && e.revision.main == Revision(6)));
    assert_eq!(changes.leases, [LeaseChange::Revoked(LeaseId(1))]);
    assert_eq!((rig.dump(0), rig.reader().lease(LeaseId(1))), (vec!["other=1".into()], None));
    rig.apply(Command::LeaseRevoke(LeaseId(2))).unwrap();
    assert_eq!(rig.revision(), 6);
    assert_eq!(rig.apply(Command::LeaseRevoke(LeaseId(2))), Err(Refusal::LeaseNotFound(LeaseId(2))));
}

/// A checkpoint carries the remaining life of the leases that are known, and is told to the lease clock.
#[test]
fn checkpoints_carry_the_remaining_life() {
    let mut rig = Rig::new();
    rig.grant(1);
    rig.machine.take_changes();
    let remaining = |id, remaining_seconds| LeaseRemaining { id: LeaseId(id), remaining_seconds };
    rig.apply(Command::LeaseCheckpoint(vec![remaining(9, 5), remaining(1, 30)])).unwrap();
    assert_eq!(rig.reader().leases(), [(LeaseId(1), 60, 30)]);
    let told = rig.machine.take_changes().leases;
    assert_eq!(told, [LeaseChange::Checkpointed { id: LeaseId(1), remaining_seconds: 30 }]);
}

/// Leases, lives and attachments are rebuilt from the store alone.
#[test]
fn leases_survive_a_restart() {
    let mut rig = Rig::new();
    (1..4).for_each(|id| rig.grant(id));
    ["a", "b", "c", "d"].iter().for_each(|key| rig.put_leased(key, 1));
    rig.put_leased("b", 2);
    rig.apply(put("c", "plain")).unwrap();
    rig.delete("d");
    rig.apply(Command::LeaseRevoke(LeaseId(3))).unwrap();
    rig.apply(Command::LeaseCheckpoint(vec![LeaseRemaining { id: LeaseId(2), remaining_seconds: 7 }]))
        .unwrap();
    rig.checkpoint();
    rig.crash();
    assert_eq!((keys(&rig, 1), keys(&rig, 2)), (vec!["a".into()], vec!["b".into()]));
    assert_eq!(rig.reader().leases(), [(LeaseId(1), 60, 0), (LeaseId(2), 60, 7)]);
    rig.apply(Command::LeaseRevoke(LeaseId(1))).unwrap();
    assert_eq!(rig.reader().range(&get("a", "")).unwrap().count, 0);
}
