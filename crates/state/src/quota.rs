//! What a command would add to the store, by etcd's estimate (`storage/quota.go`): how the edge decides, before
//! proposing, whether there is room for it.

use crate::command::{Command, Op, Put, PutValue, Txn};

/// What etcd reckons for a pair beyond its key and value.
const PAIR_OVERHEAD_BYTES: u64 = 256;
/// What etcd reckons for a lease.
const LEASE_BYTES: u64 = 64;

/// The estimated cost of a command, in bytes; 0 for one that needs no room.
#[must_use]
pub fn cost(command: &Command) -> u64 {
    match command {
        Command::Put(put) => put_cost(put),
        Command::Txn(txn) => txn_cost(txn),
        Command::LeaseGrant(_) => LEASE_BYTES,
        Command::DeleteRange(_)
        | Command::Compact(_)
        | Command::LeaseRevoke(_)
        | Command::LeaseCheckpoint(_)
        | Command::Alarm(_)
        | Command::Access(_)
        | Command::Certificates(_)
        | Command::Authenticate(_)
        | Command::ClusterVersionSet(_)
        | Command::MemberAttributesSet(_)
        | Command::DowngradeSet(_)
        | Command::Nothing => 0,
    }
}

/// The bytes of keys and values that a command would write, at most.
#[must_use]
pub fn bytes(command: &Command) -> u64 {
    match command {
        Command::Put(put) => put_bytes(put),
        Command::Txn(txn) => txn_bytes(txn),
        _ => 0,
    }
}

fn txn_bytes(txn: &Txn) -> u64 {
    let of = |ops: &[Op]| {
        let bytes = ops.iter().map(|op| match op {
            Op::Put(put) => put_bytes(put),
            Op::Txn(txn) => txn_bytes(txn),
            Op::Range(_) | Op::DeleteRange(_) => 0,
        });
        bytes.fold(0, u64::saturating_add)
    };
    of(&txn.success).max(of(&txn.failure))
}

/// The cost of a transaction: that of its dearer list.
#[must_use]
pub fn txn_cost(txn: &Txn) -> u64 {
    ops_cost(&txn.success).max(ops_cost(&txn.failure))
}

fn ops_cost(ops: &[Op]) -> u64 {
    let costs = ops.iter().map(|op| match op {
        Op::Put(put) => put_cost(put),
        Op::Txn(txn) => txn_cost(txn),
        Op::Range(_) | Op::DeleteRange(_) => 0,
    });
    costs.fold(0, u64::saturating_add)
}

fn put_cost(put: &Put) -> u64 {
    PAIR_OVERHEAD_BYTES.saturating_add(put_bytes(put))
}

fn put_bytes(put: &Put) -> u64 {
    let value = match &put.value {
        PutValue::Set(value) => value.len(),
        PutValue::Keep => 0,
    };
    (put.key.as_slice().len() as u64).saturating_add(value as u64)
}
