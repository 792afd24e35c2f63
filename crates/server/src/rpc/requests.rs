//! What a request demands that is not a replicated command: reads, and acts on this member.
//!
//! Owns the types that such a request is admitted as. Commands, watches, leases and leadership say themselves what they
//! demand (`state::auth`, `node::watch`). Every match is total: a new act does not compile until it is classified.

use state::access::Accesses;
use state::auth::{Demand, Demanding, Right};
use state::command::Txn;
use state::query::RangeQuery;
use types::{Key, KeyRange};

/// A read of a range.
#[derive(Clone, Debug)]
pub struct Reading(pub RangeQuery);

impl Demanding for Reading {
    fn demand(&self) -> Demand {
        Demand::Keys(vec![(self.0.range.clone(), Right::Read)])
    }
}

/// A transaction that is answered without the log.
#[derive(Clone, Debug)]
pub struct ReadingTxn(pub Txn);

impl Demanding for ReadingTxn {
    fn demand(&self) -> Demand {
        Demand::Keys(Accesses::of_txn(&self.0).ranges)
    }
}

/// Being told these keys: those attached to a lease.
#[derive(Clone, Debug)]
pub struct KeyNames(pub Vec<Key>);

impl Demanding for KeyNames {
    fn demand(&self) -> Demand {
        Demand::Keys(self.0.iter().map(|key| (KeyRange::single(key.clone()), Right::Read)).collect())
    }
}

/// An act on this member, or a question about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The member's condition.
    Status,
    /// Who is in the cluster.
    MemberList,
    /// The alarms that stand.
    AlarmList,
    /// All leases. etcd asks for the right to read each of their keys; here it takes the right to read all keys.
    LeaseList,
    /// Changing who is in the cluster.
    MembershipChange,
    /// Compacting the store's files.
    Defragment,
    /// The hash of the whole store.
    Hash,
    /// The hash of the key space.
    HashKv,
    /// A copy of the store.
    Snapshot,
    /// Handing leadership over.
    LeaderTransfer,
    /// Asking whether the cluster could go back to an earlier version, or ending such a move.
    Downgrade,
    /// Users, roles, and whether access control is on.
    AccessControl,
}

impl Demanding for Act {
    fn demand(&self) -> Demand {
        match self {
            Self::Status | Self::MemberList | Self::AlarmList => Demand::Known,
            Self::LeaseList => Demand::Keys(vec![(KeyRange::all(), Right::Read)]),
            Self::MembershipChange
            | Self::Defragment
            | Self::Hash
            | Self::HashKv
            | Self::Snapshot
            | Self::LeaderTransfer
            | Self::Downgrade
            | Self::AccessControl => Demand::Administrator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use state::command::{Compare, CompareOperand, CompareRelation, Op};

    fn range(key: &'static str) -> KeyRange {
        KeyRange::single(Key::new(Bytes::from_static(key.as_bytes())).unwrap())
    }

    /// A read-only transaction could tell what its comparisons and the branch not taken look at: it demands all of them.
    #[test]
    fn a_reading_txn_demands_every_range_it_names() {
        let compare = Compare {
            range: range("c"),
            operand: CompareOperand::Version(0),
            relation: CompareRelation::Equal,
        };
        let txn = Txn {
            compare: vec![compare],
            success: vec![Op::Range(RangeQuery::latest(range("s")))],
            failure: vec![Op::Range(RangeQuery::latest(range("f")))],
        };
        let Demand::Keys(keys) = ReadingTxn(txn).demand() else { panic!("keys are demanded") };
        let expected: Vec<_> = ["c", "s", "f"].map(|key| (range(key), Right::Read)).into();
        assert_eq!(keys, expected);
    }
}
