//! What a command touches, as authorization sees it.

use crate::model::a_txn;
use crate::rig::{key, put_op, range};
use proptest::prelude::*;
use state::auth::{Accesses, Right};
use state::command::*;
use types::{KeyRange, LeaseId};

/// Every operation and comparison of a transaction by itself, however deep.
fn flatten(txn: &Txn, compares: &mut Vec<Compare>, ops: &mut Vec<Op>) {
    compares.extend(txn.compare.iter().cloned());
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Txn(inner) => flatten(inner, compares, ops),
            plain => ops.push(plain.clone()),
        }
    }
}

/// An order for comparing unions.
fn sorted(found: Accesses) -> (Vec<String>, Vec<(LeaseId, Right)>) {
    let mut ranges: Vec<_> = found.ranges.iter().map(|access| format!("{access:?}")).collect();
    let mut leases = found.leases;
    ranges.sort();
    leases.sort_by_key(|(lease, _)| *lease);
    (ranges, leases)
}

proptest! {
    /// A transaction touches the union of what its flattened parts touch, nothing less: etcd once skipped the rights of
    /// nested transactions, and of prev_kv and leases inside them.
    #[test]
    fn a_transaction_touches_the_union_of_its_parts(txn in a_txn()) {
        let (mut compares, mut ops) = (Vec::new(), Vec::new());
        flatten(&txn, &mut compares, &mut ops);
        let mut union = Accesses::default();
        union.ranges.extend(compares.into_iter().map(|compare| (compare.range, Right::Read)));
        for op in ops {
            let part = match op {
                Op::Range(query) => Accesses::reading(query.range),
                Op::Put(put) => Accesses::of(&Command::Put(put)),
                Op::DeleteRange(delete) => Accesses::of(&Command::DeleteRange(delete)),
                Op::Txn(_) => unreachable!("flattened"),
            };
            union.ranges.extend(part.ranges);
            union.leases.extend(part.leases);
        }
        prop_assert_eq!(sorted(Accesses::of(&Command::Txn(txn.clone()))), sorted(union.clone()));
        prop_assert_eq!(sorted(Accesses::of_txn(&txn)), sorted(union));
    }
}

/// The plain operations, spelled out: the union above would hold of nothing too.
#[test]
fn plain_operations_touch_what_etcd_says() {
    let k = KeyRange::single(key("k"));
    let put = Put { prev_kv: true, lease: PutLease::Set(LeaseId(4)), ..put_op("k", "v") };
    let found = Accesses::of(&Command::Put(put));
    assert_eq!(found.ranges.as_slice(), [(k.clone(), Right::Write), (k.clone(), Right::Read)]);
    assert_eq!(found.leases, [(LeaseId(4), Right::Write)]);
    assert_eq!(Accesses::of(&Command::Put(put_op("k", "v"))).ranges.as_slice(), [(k, Right::Write)]);
    let gone = DeleteRange { range: range("a", "b"), prev_kv: true };
    let found = Accesses::of(&Command::DeleteRange(gone)).ranges;
    assert_eq!(found.as_slice(), [(range("a", "b"), Right::Write), (range("a", "b"), Right::Read)]);
    assert_eq!(Accesses::of(&Command::LeaseRevoke(LeaseId(3))).leases, [(LeaseId(3), Right::Write)]);
    assert_eq!(Accesses::of(&Command::Nothing), Accesses::default());
}
