//! Transactions: compare, choose, check, then do.
//!
//! Owns etcd's order (`etcdserver/txn/txn.go`): every comparison, nested ones too, looks at the key space as it was before
//! the transaction; the operations of the lists so chosen are checked against that same moment; only then is anything
//! done, each operation seeing what those before it wrote. So nothing can fail half-way.

use super::versions::Found;
use super::view::View;
use super::writing::Writing;
use crate::command::{
    Compare, CompareOperand, CompareRelation, DeleteRange, Op, Put, PutLease, PutValue, Txn,
};
use crate::error::{Error, Refusal};
use crate::leases::Leases;
use crate::outcome::{DeleteRangeOutcome, OpOutcome, PutOutcome, TxnOutcome};
use crate::pair::{Pair, PairView};
use crate::query::RangeQuery;
use crate::tally::Part;
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::ControlFlow;
use types::{LeaseId, Revision};

/// Which list of a transaction was chosen, and of each transaction in it, in order.
pub(crate) struct Path {
    succeeded: bool,
    inner: Vec<Path>,
}

impl Path {
    /// Compares; `part` counts each comparison that was looked at.
    pub(crate) fn choose(view: View<'_>, txn: &Txn, part: &mut Part) -> Result<Self, Error> {
        let mut succeeded = true;
        for compare in &txn.compare {
            if succeeded {
                part.ranges += 1;
                succeeded = holds(view, compare)?;
            }
        }
        let mut inner = Vec::new();
        for op in taken(txn, succeeded) {
            if let Op::Txn(nested) = op {
                inner.push(Self::choose(view, nested, part)?);
            }
        }
        Ok(Self { succeeded, inner })
    }
}

fn taken(txn: &Txn, succeeded: bool) -> &[Op] {
    if succeeded { &txn.success } else { &txn.failure }
}

/// Whether everything on the path can be done; `part` counts the pairs that had to be looked at.
pub(crate) fn check(
    view: View<'_>,
    leases: &Leases,
    txn: &Txn,
    path: &Path,
    part: &mut Part,
) -> Result<(), Error> {
    let mut inner = path.inner.iter();
    for op in taken(txn, path.succeeded) {
        match op {
            Op::Range(query) => view.check_in_txn(query.revision)?,
            Op::Put(put) => check_put(view, leases, put, part)?,
            Op::DeleteRange(_) => {}
            Op::Txn(nested) => {
                if let Some(path) = inner.next() {
                    check(view, leases, nested, path, part)?;
                }
            }
        }
    }
    Ok(())
}

/// Whether a put can be done: its lease exists, and its key too where it keeps something. In that order, as in etcd.
pub(crate) fn check_put(view: View<'_>, leases: &Leases, put: &Put, part: &mut Part) -> Result<(), Refusal> {
    if let PutLease::Set(id) = put.lease {
        leases.check_named(id)?;
    }
    let keeps = put.value == PutValue::Keep || put.lease == PutLease::Keep;
    part.ranges += u64::from(keeps || put.prev_kv);
    if keeps && view.find(put.key.as_slice()).is_none() {
        return Err(Refusal::KeyNotFound);
    }
    Ok(())
}

/// Does a transaction that may write, after [`check`].
pub(crate) fn execute(writing: &mut Writing<'_>, txn: &Txn, path: &Path) -> Result<TxnOutcome, Error> {
    let mut inner = path.inner.iter();
    let mut ops = Vec::new();
    for op in taken(txn, path.succeeded) {
        ops.push(match op {
            Op::Range(query) => range(writing.view(), query, &mut writing.part)?,
            Op::Put(put) => {
                let outcome = execute_put(writing, put)?;
                OpOutcome::Put(outcome, writing.revision())
            }
            Op::DeleteRange(delete) => {
                let outcome = execute_delete(writing, delete)?;
                OpOutcome::DeleteRange(outcome, writing.revision())
            }
            Op::Txn(nested) => match inner.next() {
                Some(path) => OpOutcome::Txn(execute(writing, nested, path)?, Revision::ZERO),
                None => continue,
            },
        });
    }
    Ok(TxnOutcome { succeeded: path.succeeded, ops })
}

/// Does a transaction that only reads, after [`check`].
pub(crate) fn evaluate(view: View<'_>, txn: &Txn, path: &Path, part: &mut Part) -> Result<TxnOutcome, Error> {
    let mut inner = path.inner.iter();
    let mut ops = Vec::new();
    for op in taken(txn, path.succeeded) {
        ops.push(match op {
            Op::Range(query) => range(view, query, part)?,
            Op::Put(_) | Op::DeleteRange(_) => return Err(Error::NotReadOnly),
            Op::Txn(nested) => match inner.next() {
                Some(path) => OpOutcome::Txn(evaluate(view, nested, path, part)?, Revision::ZERO),
                None => continue,
            },
        });
    }
    Ok(TxnOutcome { succeeded: path.succeeded, ops })
}

fn range(view: View<'_>, query: &RangeQuery, part: &mut Part) -> Result<OpOutcome, Error> {
    part.ranges += 1;
    view.range(query).map(OpOutcome::Range)
}

/// Does a put, after [`check_put`].
///
/// A key that the check found may be gone by now: a deletion from a key on (range end `\0`) before a put of a key in it
/// escapes etcd's search for duplicate keys. Its members then panic at a put that keeps something, and again at every
/// start. Here such a put keeps what the check saw.
pub(crate) fn execute_put(writing: &mut Writing<'_>, put: &Put) -> Result<PutOutcome, Error> {
    let keeps = put.value == PutValue::Keep || put.lease == PutLease::Keep;
    writing.part.ranges += u64::from(keeps || put.prev_kv);
    let old = if keeps || put.prev_kv { writing.view().pair(put.key.as_slice())? } else { None };
    let kept = match &old {
        None if keeps => writing.view_before().pair(put.key.as_slice())?,
        old => old.clone(),
    };
    let value = match (&put.value, &kept) {
        (PutValue::Set(value), _) => value.clone(),
        (PutValue::Keep, Some(kept)) => kept.value()?,
        (PutValue::Keep, None) => Bytes::new(),
    };
    let lease = match (put.lease, &kept) {
        (PutLease::Set(lease), _) => lease,
        (PutLease::Keep, Some(kept)) => kept.view()?.lease,
        (PutLease::Keep, None) => LeaseId::NONE,
    };
    writing.put(&put.key, &value, lease)?;
    Ok(PutOutcome { prev: old.filter(|_| put.prev_kv) })
}

/// Does a deletion.
pub(crate) fn execute_delete(
    writing: &mut Writing<'_>,
    delete: &DeleteRange,
) -> Result<DeleteRangeOutcome, Error> {
    writing.part.ranges += u64::from(delete.prev_kv);
    let prev = if delete.prev_kv { pairs(writing.view(), delete)? } else { Vec::new() };
    Ok(DeleteRangeOutcome { deleted: writing.delete_range(&delete.range)?, prev })
}

fn pairs(view: View<'_>, delete: &DeleteRange) -> Result<Vec<Pair>, Error> {
    Ok(view.range(&RangeQuery::latest(delete.range.clone()))?.pairs)
}

/// Whether a comparison holds: for every key of its range, or for an absent key where there is none.
fn holds(view: View<'_>, compare: &Compare) -> Result<bool, Error> {
    // What only the pair knows is read after the walk, not under the index's lock.
    let mut unread = Vec::new();
    let mut any = false;
    let mut all = true;
    view.walk(&compare.range, view.current, |_, found| {
        any = true;
        match index_holds(compare, found) {
            Some(holds) => all = holds,
            None => unread.push(found),
        }
        if all { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if !any {
        return Ok(absent_holds(compare));
    }
    for found in unread {
        all = all && pair_holds(compare, view.pair_of(found)?.view()?);
    }
    Ok(all)
}

/// What the index alone can tell.
fn index_holds(compare: &Compare, found: Found) -> Option<bool> {
    let ordering = match &compare.operand {
        CompareOperand::Version(number) => found.number.cmp(number),
        CompareOperand::Create(revision) => found.created.0.cmp(revision),
        CompareOperand::Mod(revision) => found.version.at().main.0.cmp(revision),
        CompareOperand::Value(_) | CompareOperand::Lease(_) => return None,
    };
    Some(relates(ordering, compare.relation))
}

fn pair_holds(compare: &Compare, pair: PairView<'_>) -> bool {
    let ordering = match &compare.operand {
        CompareOperand::Version(number) => pair.version.cmp(number),
        CompareOperand::Create(revision) => pair.create_revision.0.cmp(revision),
        CompareOperand::Mod(revision) => pair.mod_revision.0.cmp(revision),
        CompareOperand::Value(value) => pair.value.cmp(value),
        CompareOperand::Lease(lease) => pair.lease.0.cmp(lease),
    };
    relates(ordering, compare.relation)
}

/// An absent key compares as a pair of zeros, but its value with nothing.
fn absent_holds(compare: &Compare) -> bool {
    !matches!(compare.operand, CompareOperand::Value(_)) && pair_holds(compare, PairView::default())
}

fn relates(ordering: Ordering, relation: CompareRelation) -> bool {
    match relation {
        CompareRelation::Equal => ordering.is_eq(),
        CompareRelation::NotEqual => ordering.is_ne(),
        CompareRelation::Greater => ordering.is_gt(),
        CompareRelation::Less => ordering.is_lt(),
        CompareRelation::Unknown => true,
    }
}
