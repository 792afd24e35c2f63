//! Giving space back: what must stay stays, what may go goes, and nobody who reads meanwhile notices.

use crate::rig::{EAGER, Rig, get};
use state::command::*;
use state::{CollectionLimits, Error, Room};
use types::{LeaseId, MemberId};

/// Puts until `count` further segments are closed.
fn fill(rig: &mut Rig, name: &str, count: usize) {
    for i in 0..count * 8 {
        rig.put(&format!("{name}{i}"), &"x".repeat(60));
    }
}

fn collect_all(rig: &mut Rig) -> usize {
    std::iter::repeat_with(|| rig.chore()).take_while(|more| *more).count()
}

fn disk_bytes(rig: &Rig) -> u64 {
    rig.reader().sizes().disk_bytes
}

/// What is overwritten and compacted gives its space back, deletions too: the store would grow for ever otherwise.
#[test]
fn space_comes_back() {
    let mut rig = Rig::new();
    for round in 0..50 {
        for i in 0..20 {
            rig.put(&format!("k{i}"), &format!("{round} {}", "v".repeat(100)));
        }
        for i in 0..20 {
            rig.put(&format!("gone{i} {round}"), "x");
            rig.delete(&format!("gone{i} {round}"));
        }
        rig.compact(rig.revision()).unwrap();
        rig.sweep();
        collect_all(&mut rig);
        rig.checkpoint();
        let live = rig.reader().sizes().live_bytes;
        assert!(disk_bytes(&rig) < 3 * live + 6 * 1024, "{} for {live} in round {round}", disk_bytes(&rig));
    }
    let before = rig.dump(0);
    rig.crash();
    assert_eq!(rig.dump(0), before);
}

/// A key that was deleted must not come back: its deletion stays on disk as long as an older segment may hold the key. Here
/// the older segment is copied while the key can still be read, and the deletion comes up after it cannot.
#[test]
fn a_deleted_key_stays_deleted() {
    let mut rig = Rig::new();
    rig.put("key", "value");
    fill(&mut rig, "a", 3);
    rig.delete("key");
    fill(&mut rig, "b", 6);
    rig.compact(2).unwrap();
    rig.sweep();
    assert!(rig.chore(), "the first piece holds the key");
    rig.compact(rig.revision()).unwrap();
    rig.sweep();
    collect_all(&mut rig);
    rig.checkpoint();
    rig.crash();
    assert!(rig.keys(&get("key", "")).is_empty(), "the deletion was left out, and the key is back");
}

/// Whoever looked up where records are before they moved finds them there, until he is done.
#[test]
fn a_reader_keeps_what_it_looks_at() {
    let mut rig = Rig::new();
    fill(&mut rig, "a", 12);
    rig.compact(rig.revision() - 30).unwrap();
    rig.sweep();
    let reader = rig.reader();
    let (mut copied, mut collected) = (0, 0);
    reader
        .copy(|_, _, _| {
            copied += 1;
            collected += usize::from(rig.chore());
            Ok::<_, Error>(())
        })
        .unwrap();
    assert!(copied > 90 && collected > 2, "{copied} {collected}");
    let held = disk_bytes(&rig);
    rig.chore();
    assert!(disk_bytes(&rig) < held, "released when the copy was done");
}

/// Leases, alarms, members and versions have no key and survive nonetheless; what was revoked or cleared stays so.
#[test]
fn facts_survive() {
    let mut rig = Rig::new();
    let alarm = |action| {
        Command::Alarm(AlarmChange { action, alarm: Alarm { member: MemberId(2), kind: AlarmKind::Corrupt } })
    };
    rig.apply(Command::ClusterVersionSet("3.7.0".to_owned())).unwrap();
    rig.apply(alarm(AlarmAction::Raise)).unwrap();
    rig.apply(alarm(AlarmAction::Clear)).unwrap();
    let no_space = Alarm { member: MemberId(2), kind: AlarmKind::NoSpace };
    for id in 1..40 {
        rig.grant(id);
        if id % 2 == 0 {
            rig.apply(Command::LeaseRevoke(LeaseId(id))).unwrap();
        }
    }
    let remaining = vec![LeaseRemaining { id: LeaseId(1), remaining_seconds: 17 }];
    rig.apply(Command::LeaseCheckpoint(remaining)).unwrap();
    rig.apply(Command::Alarm(AlarmChange { action: AlarmAction::Raise, alarm: no_space })).unwrap();
    rig.apply(Command::Alarm(AlarmChange { action: AlarmAction::Clear, alarm: no_space })).unwrap();
    fill(&mut rig, "a", 4);
    rig.apply(Command::Alarm(AlarmChange { action: AlarmAction::Raise, alarm: no_space })).unwrap();
    let facts = |rig: &Rig| {
        let reader = rig.reader();
        let version = reader.membership().cluster_version().map(str::to_owned);
        (reader.leases(), reader.alarms(AlarmKind::None), version)
    };
    let before = facts(&rig);
    assert_eq!(before.0.len(), 20);
    for _ in 0..3 {
        assert!(collect_all(&mut rig) > 0);
        rig.checkpoint();
        rig.crash();
        assert_eq!(facts(&rig), before);
    }
}

/// Without space nothing is collected and nothing is lost; with space the next pass does it all.
#[test]
fn a_full_disk_only_puts_it_off() {
    let mut rig = Rig::new();
    fill(&mut rig, "a", 10);
    fill(&mut rig, "a", 10);
    rig.compact(rig.revision()).unwrap();
    rig.sweep();
    rig.checkpoint();
    let (before, dump) = (disk_bytes(&rig), rig.dump(0));
    let used: u64 = rig.home.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    rig.home.disk.set_capacity(Some(used + 300));
    for _ in 0..3 {
        while rig.chore() {}
    }
    assert_eq!((disk_bytes(&rig), rig.dump(0)), (before, dump.clone()));
    rig.home.disk.set_capacity(None);
    collect_all(&mut rig);
    assert!(disk_bytes(&rig) < before * 2 / 3);
    rig.checkpoint();
    rig.crash();
    assert_eq!(rig.dump(0), dump);
}

/// Takes single segments, the least to be copied first.
const SCARCE: CollectionLimits = CollectionLimits { room: Room::Scarce, ..EAGER };

/// A nearly full disk has no room for a large copy, but segments of which little is wanted give back more than their copies take:
/// the first segment, of which everything is wanted, must not stand in the way.
#[test]
fn a_nearly_full_disk_gives_back_the_emptiest_segments_first() {
    let mut rig = Rig::new();
    fill(&mut rig, "kept", 12);
    for _ in 0..5 {
        fill(&mut rig, "a", 3);
    }
    rig.compact(rig.revision()).unwrap();
    rig.sweep();
    rig.checkpoint();
    let (before, dump) = (disk_bytes(&rig), rig.dump(0));
    let used: u64 = rig.home.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    rig.home.disk.set_capacity(Some(used + 8_000));
    assert!(
        !rig.chore_within(CollectionLimits { piece_bytes: 1 << 20, ..EAGER }),
        "no room for a large copy"
    );
    while rig.chore_within(SCARCE) {
        rig.checkpoint();
        rig.checkpoint();
    }
    assert!(disk_bytes(&rig) < before * 3 / 4, "{} of {before}", disk_bytes(&rig));
    rig.crash();
    assert_eq!(rig.dump(0), dump);
}

/// Where only some segments are copied, an older one may hold what a record in them does away with: it must not come back.
#[test]
fn what_is_gone_stays_gone_where_single_segments_are_copied() {
    let mut rig = Rig::new();
    let no_space = Alarm { member: MemberId(2), kind: AlarmKind::NoSpace };
    let alarm = |action| Command::Alarm(AlarmChange { action, alarm: no_space });
    // Of the oldest segment much is wanted.
    (0..4).for_each(|i| rig.put(&format!("kept{i}"), &"x".repeat(60)));
    rig.put("key", "value");
    rig.grant(7);
    rig.apply(alarm(AlarmAction::Raise)).unwrap();
    // Under the alarm nothing else takes room.
    for remaining_seconds in 1..60 {
        let remaining = vec![LeaseRemaining { id: LeaseId(7), remaining_seconds }];
        rig.apply(Command::LeaseCheckpoint(remaining)).unwrap();
    }
    rig.delete("key");
    rig.apply(alarm(AlarmAction::Clear)).unwrap();
    rig.apply(Command::LeaseRevoke(LeaseId(7))).unwrap();
    for _ in 0..3 {
        fill(&mut rig, "b", 3);
    }
    rig.compact(rig.revision()).unwrap();
    rig.sweep();
    let used: u64 = rig.home.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    rig.home.disk.set_capacity(Some(used + 900));
    let copied = (0..100).filter(|_| rig.chore_within(SCARCE)).count();
    assert!(copied > 3, "{copied}");
    rig.home.disk.set_capacity(None);
    rig.checkpoint();
    assert!(rig.chore_within(SCARCE), "the oldest segment found no room, and is tried again");
    rig.crash();
    assert!(rig.keys(&get("key", "")).is_empty(), "the deletion was left out, and the key is back");
    assert!(rig.reader().leases().is_empty(), "the lease is back");
    assert!(rig.reader().alarms(AlarmKind::None).is_empty(), "the alarm is back");
}

/// What cannot be left out is not copied again and again: a member on a nearly full disk must come to rest.
#[test]
fn a_pass_over_single_segments_ends() {
    let mut rig = Rig::new();
    for i in 0..60 {
        rig.put(&format!("gone{i}"), "x");
        rig.delete(&format!("gone{i}"));
    }
    fill(&mut rig, "a", 1);
    rig.compact(rig.revision()).unwrap();
    rig.sweep();
    let copied = std::iter::repeat_with(|| rig.chore_within(SCARCE)).take(100).filter(|more| *more).count();
    assert!(copied > 2 && copied < 50, "{copied}");
}

/// Every start begins a new segment, and a full disk small ones: many small ones become few, though nothing in them is dead.
#[test]
fn many_small_segments_become_few() {
    let mut rig = Rig::new();
    for i in 0..40 {
        rig.put(&format!("k{i:02}"), "v");
        rig.checkpoint();
        rig.crash();
    }
    let limits = CollectionLimits {
        small_segments_max: 20,
        garbage_bytes_min: 1 << 20,
        piece_bytes: 1 << 20,
        ..EAGER
    };
    let stores = |rig: &Rig| {
        let names = rig.home.disk.files().into_keys();
        names.filter(|path| path.extension().is_some_and(|extension| extension == "store")).count()
    };
    let (before, dump) = (stores(&rig), rig.dump(0));
    assert!(before >= 40, "{before}");
    while rig.chore_within(limits) {}
    rig.checkpoint();
    rig.checkpoint();
    assert!(stores(&rig) < before / 2, "{} of {before}", stores(&rig));
    rig.crash();
    assert_eq!(rig.dump(0), dump);
    assert!(!rig.chore_within(limits), "few are suffered");
}

/// A pass is due only when there is enough to gain, and one that gained nothing is not begun again for the same garbage.
#[test]
fn a_pass_begins_when_it_is_worth_it() {
    let mut rig = Rig::new();
    fill(&mut rig, "a", 20);
    let full = disk_bytes(&rig);
    for limits in [CollectionLimits::default(), CollectionLimits { garbage_bytes_min: 8192, ..EAGER }] {
        while rig.chore_within(limits) {}
        assert_eq!(disk_bytes(&rig), full, "nothing is dead yet");
    }
    fill(&mut rig, "a", 20);
    rig.compact(rig.revision()).unwrap();
    rig.sweep();
    let chore = rig.machine.begin_chore(EAGER).unwrap().unwrap();
    assert!(rig.machine.begin_chore(EAGER).unwrap().is_none(), "one at a time");
    rig.machine.end_chore(chore.run(|_| {}).unwrap()).unwrap();
    assert!(collect_all(&mut rig) > 2);
    assert!(disk_bytes(&rig) < full * 3 / 2);
    assert!(rig.machine.begin_chore(EAGER).unwrap().is_none(), "nothing more to gain");
}
