//! A machine that was closed, or killed, and opened again is the machine that never was.

use crate::model::a_txn;
use crate::rig::{Rig, get, put, put_op};
use bytes::Bytes;
use proptest::prelude::*;
use state::Error;
use state::command::*;
use types::{LeaseId, LogIndex, Revision, Term};

fn fingerprint(rig: &Rig) -> impl PartialEq + std::fmt::Debug + use<> {
    let reader = rig.reader();
    let sizes = reader.sizes();
    (
        reader.hash().unwrap(),
        reader.hash_kv(Revision::ZERO).unwrap(),
        (reader.revision(), reader.compacted(), sizes.keys, sizes.live_bytes),
        (reader.leases(), reader.alarms(AlarmKind::None), reader.checkmark(), rig.machine.applied()),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Applying some entries, a checkpoint, a crash and the replay of the rest gives a state equal to never having stopped,
    /// down to the hashes members compare and the bytes the quota counts.
    #[test]
    fn a_crash_leaves_no_trace(
        txns in prop::collection::vec(a_txn(), 1..40), checkpoint in 0..40usize, compact in 0..40usize, swept: bool,
        processors in 1..4usize,
    ) {
        let mut straight = Rig::new();
        let mut crashed = Rig::new();
        crashed.home.has_processors(processors);
        for (i, txn) in txns.into_iter().enumerate() {
            for rig in [&mut straight, &mut crashed] {
                if i == 0 {
                    rig.grant(1);
                }
                let _ = rig.txn(txn.clone());
                if i == compact {
                    let _ = rig.compact(rig.revision() - 1);
                    if swept {
                        rig.sweep();
                    }
                }
            }
            if i == checkpoint {
                crashed.checkpoint();
            }
        }
        crashed.crash();
        straight.sweep();
        crashed.sweep();
        // What is remembered of a compaction's hash is not part of the state, as in etcd; all else is.
        prop_assert_eq!(fingerprint(&straight), fingerprint(&crashed));
    }
}

/// However many threads read the store, the state is the same: keys of many lives over many segments, with indexes and without,
/// leases, deletions, a compaction that was swept and one that was not. Members that differ here would differ for ever.
#[test]
fn any_number_of_threads_restores_the_same() {
    let mut rig = Rig::new();
    (1..=3).for_each(|lease| rig.grant(lease));
    for i in 0..600 {
        match i % 10 {
            3 => rig.put_leased(&format!("leased-{}", i % 37), 1 + i % 3),
            7 => rig.delete(&format!("key-{}", (i - 6) % 90)),
            8 => rig.put(&format!("leased-{}", (i - 15) % 37), "free"),
            _ => rig.put(&format!("key-{}", i % 90), &i.to_string()),
        }
        if i == 200 {
            rig.compact(150).unwrap();
            rig.sweep();
        }
        if i == 300 {
            (0..12).for_each(|_| _ = rig.chore());
        }
    }
    rig.apply(Command::LeaseRevoke(LeaseId(2))).unwrap();
    rig.compact(400).unwrap();
    rig.checkpoint();
    rig.crash();
    let leases = |rig: &Rig| (1..=3).map(|id| rig.reader().lease(LeaseId(id))).collect::<Vec<_>>();
    let whole = |rig: &Rig| (fingerprint(rig), rig.dump(0), rig.dump(450), format!("{:?}", leases(rig)));
    let alone = whole(&rig);
    assert!(alone.1.len() > 60 && alone.3.contains("leased-"), "{alone:?}");
    for processors in [2, 3, 4] {
        for _ in 0..5 {
            rig.home.has_processors(processors);
            rig.crash();
            assert!(whole(&rig) == alone, "{processors} processors");
        }
    }
}

/// Entries at or below the consistent index change nothing when the log gives them again.
#[test]
fn entries_take_effect_once() {
    let mut rig = Rig::new();
    rig.put("a", "1");
    let again = rig.machine.apply(LogIndex(1), Term(1), put("a", "2")).unwrap();
    assert_eq!((again.result, rig.dump(0)), (Ok(state::Outcome::Nothing), vec!["a=1".into()]));
}

/// A store that was never written starts at revision 1, uncompacted, at index 0.
#[test]
fn an_empty_store_is_at_the_beginning() {
    let rig = Rig::new();
    assert_eq!(
        (rig.revision(), rig.reader().compacted(), rig.machine.applied()),
        (1, Revision(-1), Default::default())
    );
    assert_eq!(rig.reader().lease(LeaseId(0)), None);
}

/// Members find out at every thousandth entry whether they diverged, even when only one byte of one value differs.
#[test]
fn checkmarks_tell_diverged_members_apart() {
    let mut one = Rig::new();
    let mut other = Rig::new();
    let mut astray = Rig::new();
    for i in 0..2100 {
        one.put("k", &i.to_string());
        other.put("k", &i.to_string());
        astray.put("k", if i == 1500 { "x" } else { "y" });
        if i == 1300 {
            other.checkpoint();
            other.crash();
        }
    }
    let mark = one.reader().checkmark().unwrap();
    assert_eq!(mark.index, LogIndex(2000));
    assert_eq!(Some(mark), other.reader().checkmark());
    assert_ne!(Some(mark), astray.reader().checkmark());
}

/// A disk that fills up in the middle of a transaction stops the machine: it takes nothing more, makes nothing durable and
/// shows no reader half of it. With room again, a start replays the entry whole.
#[test]
fn half_an_entry_is_never_seen_nor_made_durable() {
    let mut rig = Rig::new();
    rig.put("a", "1");
    rig.checkpoint();
    let success = (0..60).map(|i| Op::Put(put_op(&format!("k{i}"), &"x".repeat(4000)))).collect();
    let whole = Command::Txn(Txn { success, ..Txn::default() });
    let used: usize = rig.home.disk.files().values().map(Vec::len).sum();
    rig.home.disk.set_capacity(Some(used as u64));
    let failed = rig.machine.apply(LogIndex(2), Term(1), whole.clone());
    assert!(matches!(failed, Err(Error::Storage(storage::Error::NoSpace { .. }))), "{failed:?}");
    assert_eq!((rig.revision(), rig.dump(0)), (2, vec!["a=1".into()]));
    assert_eq!(rig.reader().range(&get("k1", "")).unwrap().count, 0);
    assert!(matches!(rig.machine.apply(LogIndex(3), Term(1), put("b", "1")), Err(Error::Broken)));
    assert!(matches!(rig.machine.checkpoint(Bytes::new()), Err(Error::Broken)));
    assert!(matches!(rig.machine.compact_step(1), Err(Error::Broken)));
    rig.home.disk.set_capacity(None);
    rig.log.push(whole);
    rig.crash();
    assert_eq!((rig.revision(), rig.dump(0).len()), (3, 61));
}

/// What reaches the disk can be read by nobody without the key: no key, value or name in any byte of any file.
#[test]
fn nothing_readable_reaches_the_disk() {
    let mut rig = Rig::new();
    rig.grant(0x6d61_726b_6c65_6173);
    (0..300).for_each(|i| rig.put(&format!("marker-key-{i}"), &format!("marker-value-{i}").repeat(20)));
    rig.apply(Command::ClusterVersionSet("marker-version".to_owned())).unwrap();
    rig.checkpoint();
    let files = rig.home.disk.files();
    let bytes: usize = files.values().map(Vec::len).sum();
    assert!(bytes > 80_000, "the test looks at too little: {bytes}");
    for marker in [&b"marker"[..], b"marklea", &b"marker-version"[..]] {
        assert!(files.values().all(|content| content.windows(marker.len()).all(|window| window != marker)));
    }
}
