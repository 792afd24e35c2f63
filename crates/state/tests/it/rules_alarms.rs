//! Alarms: what raising, clearing and listing answer, and what each forbids; as seen on a real etcd.

use crate::rig::{Rig, delete, get, put, put_op};
use state::Refusal;
use state::command::*;
use state::outcome::Outcome;
use state::quota;
use types::{LeaseId, MemberId, Revision};

fn alarm(rig: &mut Rig, action: AlarmAction, member: u64, kind: AlarmKind) -> Vec<Alarm> {
    let change = AlarmChange { action, alarm: Alarm { member: MemberId(member), kind } };
    match rig.apply(Command::Alarm(change)) {
        Ok(Outcome::Alarm(alarms)) => alarms,
        other => panic!("{other:?}"),
    }
}

const SPACE: Alarm = Alarm { member: MemberId(5), kind: AlarmKind::NoSpace };

/// Raising twice answers the alarm twice; clearing needs the very member and kind; a kind is needed to raise.
#[test]
fn alarms_answer_as_in_etcd() {
    use AlarmAction::{Clear, List, Raise};
    let mut rig = Rig::new();
    assert_eq!(alarm(&mut rig, Raise, 5, AlarmKind::None), []);
    assert_eq!(alarm(&mut rig, Raise, 5, AlarmKind::NoSpace), [SPACE]);
    assert!(rig.machine.take_changes().alarms);
    assert_eq!(alarm(&mut rig, Raise, 5, AlarmKind::NoSpace), [SPACE]);
    assert!(!rig.machine.take_changes().alarms);
    assert_eq!(alarm(&mut rig, Clear, 0, AlarmKind::NoSpace), []);
    assert_eq!(alarm(&mut rig, Clear, 5, AlarmKind::None), []);
    let corrupt = Alarm { member: MemberId(4), kind: AlarmKind::Corrupt };
    assert_eq!(alarm(&mut rig, Raise, 4, AlarmKind::Corrupt), [corrupt]);
    assert_eq!(alarm(&mut rig, List, 0, AlarmKind::None), [corrupt, SPACE]);
    assert_eq!(alarm(&mut rig, List, 0, AlarmKind::NoSpace), [SPACE]);
    assert_eq!(rig.reader().alarms(AlarmKind::Corrupt), [corrupt]);
    rig.checkpoint();
    rig.crash();
    assert_eq!(rig.reader().alarms(AlarmKind::None), [corrupt, SPACE]);
    assert_eq!(alarm(&mut rig, Clear, 5, AlarmKind::NoSpace), [SPACE]);
    assert_eq!(rig.reader().alarms(AlarmKind::None), [corrupt]);
}

/// Out of space: nothing that could grow the store, a put on either list of a transaction included; what frees space goes on.
#[test]
fn the_space_alarm_refuses_growth_only() {
    let mut rig = Rig::new();
    rig.grant(8);
    rig.put_leased("l", 8);
    alarm(&mut rig, AlarmAction::Raise, 5, AlarmKind::NoSpace);
    let untaken = Op::Txn(Txn { success: vec![Op::Put(put_op("q", "x"))], ..Txn::default() });
    let grows = [
        put("l", "3"),
        Command::Txn(Txn { failure: vec![untaken], ..Txn::default() }),
        Command::LeaseGrant(LeaseGrant { id: LeaseId(88), ttl_seconds: 100 }),
    ];
    for command in grows {
        assert_eq!(rig.apply(command), Err(Refusal::NoSpace));
    }
    let goes_on = [
        Command::Txn(Txn {
            success: vec![Op::DeleteRange(delete("zz", "")), Op::Range(get("l", ""))],
            ..Txn::default()
        }),
        Command::DeleteRange(delete("zz", "")),
        Command::LeaseRevoke(LeaseId(8)),
        Command::Compact(Compact { revision: Revision(2), physical: false }),
    ];
    for command in goes_on {
        rig.apply(command).unwrap();
    }
    alarm(&mut rig, AlarmAction::Clear, 5, AlarmKind::NoSpace);
    rig.apply(put("l", "3")).unwrap();
}

/// Corrupt: nothing is written, and it weighs more than missing space. Alarms themselves and lease checkpoints pass.
#[test]
fn the_corruption_alarm_refuses_all_writes() {
    let mut rig = Rig::new();
    rig.grant(8);
    rig.put("a", "1");
    alarm(&mut rig, AlarmAction::Raise, 5, AlarmKind::NoSpace);
    alarm(&mut rig, AlarmAction::Raise, 5, AlarmKind::Corrupt);
    let refused = [
        put("a", "2"),
        Command::DeleteRange(delete("a", "")),
        Command::Txn(Txn::default()),
        Command::Compact(Compact { revision: Revision(2), physical: false }),
        Command::LeaseGrant(LeaseGrant { id: LeaseId(9), ttl_seconds: 9 }),
        Command::LeaseRevoke(LeaseId(8)),
    ];
    for command in refused {
        assert_eq!(rig.apply(command), Err(Refusal::Corrupt));
    }
    rig.apply(Command::LeaseCheckpoint(vec![])).unwrap();
    assert_eq!((rig.revision(), rig.dump(0)), (2, vec!["a=1".into()]));
}

/// The edge asks for room by etcd's estimate, the dearer list of a transaction counting; what costs nothing always fits.
#[test]
fn room_is_reckoned_as_in_etcd() {
    let put = |value| Op::Put(put_op("key", value));
    let inner = Op::Txn(Txn { success: vec![put("12"), put("12")], ..Txn::default() });
    let txn = Txn { success: vec![put("1")], failure: vec![inner, put("")], ..Txn::default() };
    assert_eq!(quota::txn_cost(&txn), 261 + 261 + 259);
    assert_eq!(quota::cost(&Command::LeaseGrant(LeaseGrant { id: LeaseId(1), ttl_seconds: 1 })), 64);
    assert_eq!(quota::cost(&Command::DeleteRange(delete("a", ""))), 0);
    let mut rig = Rig::new();
    rig.put("a", &"x".repeat(1000));
    let reader = rig.reader();
    let live = reader.sizes().live_bytes;
    assert!(reader.room_for(0, 1));
    assert!(reader.room_for(10, live + 11) && !reader.room_for(10, live + 10));
}
