//! What a request demands that is not a replicated command: reads, and acts on this member.
//!
//! Owns the types that such a request is admitted as. Commands, watches, leases and leadership say themselves what they
//! demand (`state::auth`, `node::watch`). Every match is total: a new act does not compile until it is classified.

use state::auth::{Ability, Accesses, Demand, Demanding, Right};
use state::command::Txn;
use state::query::RangeQuery;
use types::LeaseId;

/// A read of a range.
#[derive(Clone, Debug)]
pub struct Reading(pub RangeQuery);

impl Demanding for Reading {
    fn demand(&self) -> Demand {
        Demand::Keys(Accesses::reading(self.0.range.clone()))
    }
}

/// A transaction that is answered without the log.
#[derive(Clone, Debug)]
pub struct ReadingTxn(pub Txn);

impl Demanding for ReadingTxn {
    fn demand(&self) -> Demand {
        Demand::Keys(Accesses::of_txn(&self.0))
    }
}

/// Being told the keys that are attached to leases.
#[derive(Clone, Debug)]
pub struct KeysOf(pub Vec<LeaseId>);

impl Demanding for KeysOf {
    fn demand(&self) -> Demand {
        let leases = self.0.iter().map(|lease| (*lease, Right::Read)).collect();
        Demand::Keys(Accesses { leases, ..Accesses::default() })
    }
}

/// A question about users and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AboutAccess {
    /// Whether access control is on.
    Status,
    /// A user's roles: the user itself may ask.
    User(String),
    /// A role's permissions: whoever holds it may ask.
    Role(String),
    /// The names of all users or roles.
    Names,
}

impl Demanding for AboutAccess {
    fn demand(&self) -> Demand {
        match self {
            Self::Status => Demand::Nothing,
            Self::User(name) => Demand::User(name.clone()),
            Self::Role(name) => Demand::Role(name.clone()),
            Self::Names => Demand::Administrator,
        }
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
    /// Changing users, roles, and whether access control is on.
    AccessControl,
    /// Having certificates issued or revoked, and replacing who issues them.
    Certificates,
}

impl Demanding for Act {
    fn demand(&self) -> Demand {
        match self {
            Self::Status | Self::MemberList | Self::AlarmList => Demand::Known,
            Self::MembershipChange => Demand::Ability(Ability::Membership),
            Self::Defragment => Demand::Ability(Ability::Defragment),
            Self::Hash | Self::HashKv => Demand::Ability(Ability::Hash),
            Self::Snapshot => Demand::Ability(Ability::Snapshot),
            Self::LeaderTransfer => Demand::Ability(Ability::MoveLeader),
            Self::Downgrade => Demand::Ability(Ability::Downgrade),
            Self::AccessControl | Self::Certificates => Demand::Administrator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use state::command::{Compare, CompareOperand, CompareRelation, Op};
    use types::{Key, KeyRange};

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
        assert_eq!(keys.ranges.as_slice(), expected);
    }
}
