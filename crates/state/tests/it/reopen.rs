//! A machine that was closed, or killed, and opened again is the machine that never was.

use crate::model::a_txn;
use crate::rig::{Rig, put};
use proptest::prelude::*;
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
    ) {
        let mut straight = Rig::new();
        let mut crashed = Rig::new();
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
