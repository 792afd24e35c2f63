//! What a command touches: every key range with the right it needs, whichever way its transactions turn out.
//!
//! Owns one total function over [`Command`], neutral of any policy. Source: etcd's `auth.go` of the apply path, with the
//! holes closed that its advisories name (nested transactions, `prev_kv` and leases inside transactions).
//!
//! Invariant: the accesses of a transaction are the union of the accesses of all its operations, both branches, all
//! levels, and of all its comparisons. A lease's keys are the store's to know: they are added where the lease is named.

use super::Right;
use crate::command::{Command, DeleteRange, Op, Put, PutLease, PutValue, Txn};
use smallvec::{SmallVec, smallvec};
use types::{KeyRange, LeaseId};

/// What a command needs: rights on ranges, and the leases on whose keys it acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accesses {
    /// Ranges and the right needed on each.
    pub ranges: SmallVec<[(KeyRange, Right); 1]>,
    /// Leases: the right is needed on every key attached to each.
    pub leases: Vec<(LeaseId, Right)>,
}

impl Accesses {
    /// Everything that `command` touches.
    #[must_use]
    pub fn of(command: &Command) -> Self {
        let mut found = Self::default();
        found.command(command);
        found
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Put(put) => self.put(put),
            Command::DeleteRange(delete) => self.delete(delete),
            Command::Txn(txn) => self.txn(txn),
            Command::LeaseRevoke(lease) => self.lease(*lease),
            Command::Compact(_)
            | Command::LeaseGrant(_)
            | Command::LeaseCheckpoint(_)
            | Command::Alarm(_)
            | Command::Access(_)
            | Command::Certificates(_)
            | Command::Authenticate(_)
            | Command::ClusterVersionSet(_)
            | Command::MemberAttributesSet(_)
            | Command::DowngradeSet(_)
            | Command::Nothing => {}
        }
    }

    /// Reading a range.
    #[must_use]
    pub fn reading(range: KeyRange) -> Self {
        Self { ranges: smallvec![(range, Right::Read)], leases: Vec::new() }
    }

    /// What `txn` touches; also for transactions that only read and never become a command.
    #[must_use]
    pub fn of_txn(txn: &Txn) -> Self {
        let mut found = Self::default();
        found.txn(txn);
        found
    }

    fn txn(&mut self, txn: &Txn) {
        for compare in &txn.compare {
            self.ranges.push((compare.range.clone(), Right::Read));
        }
        for op in txn.success.iter().chain(&txn.failure) {
            match op {
                Op::Range(query) => self.ranges.push((query.range.clone(), Right::Read)),
                Op::Put(put) => self.put(put),
                Op::DeleteRange(delete) => self.delete(delete),
                Op::Txn(inner) => self.txn(inner),
            }
        }
    }

    fn put(&mut self, put: &Put) {
        let range = KeyRange::single(put.key.clone());
        self.ranges.push((range.clone(), Right::Write));
        if put.prev_kv {
            self.ranges.push((range, Right::Read));
        }
        if let PutLease::Set(lease) = put.lease {
            self.lease(lease);
        }
        // Keeping the value or the lease tells the sender nothing and needs no right to read, as in etcd.
        debug_assert!(matches!(put.value, PutValue::Set(_) | PutValue::Keep));
    }

    fn delete(&mut self, delete: &DeleteRange) {
        self.ranges.push((delete.range.clone(), Right::Write));
        if delete.prev_kv {
            self.ranges.push((delete.range.clone(), Right::Read));
        }
    }

    fn lease(&mut self, lease: LeaseId) {
        if !lease.is_none() {
            self.leases.push((lease, Right::Write));
        }
    }
}
