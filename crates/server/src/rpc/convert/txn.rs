//! Transactions: the budget of operations, every operation's own checks, then overlaps, as etcd does before consensus.

use super::overlap;
use super::request::{delete_range, key_range, put, range};
use crate::rpc::status::Failure;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use proto::etcdserverpb as pb;
use state::command::{Compare, CompareOperand, CompareRelation, Op, Txn};

/// A transaction, with what its form says about how it is read.
#[derive(Debug, PartialEq)]
pub(crate) struct Parsed {
    /// The transaction.
    pub txn: Txn,
    /// Whether every operation of its lists is a serializable range: it then needs no barrier.
    pub serializable: bool,
}

/// A transaction of at most `ops_max` operations on its longest side, nested ones counted against what is left.
pub(crate) fn txn(request: pb::TxnRequest, ops_max: usize) -> Result<Parsed, Failure> {
    let serializable = request
        .success
        .iter()
        .chain(&request.failure)
        .all(|op| matches!(&op.request, Some(Request::RequestRange(range)) if range.serializable));
    let txn = checked(request, ops_max)?;
    overlap::check(&txn)?;
    Ok(Parsed { txn, serializable })
}

fn checked(request: pb::TxnRequest, ops_max: usize) -> Result<Txn, Failure> {
    let longest = request.compare.len().max(request.success.len()).max(request.failure.len());
    let Some(left) = ops_max.checked_sub(longest) else { return Err(Failure::TooManyOps) };
    let ops = |ops: Vec<pb::RequestOp>| ops.into_iter().map(|each| op(each, left)).collect::<Result<_, _>>();
    Ok(Txn {
        compare: request.compare.into_iter().map(compare).collect::<Result<_, _>>()?,
        success: ops(request.success)?,
        failure: ops(request.failure)?,
    })
}

fn op(request: pb::RequestOp, ops_max: usize) -> Result<Op, Failure> {
    Ok(match request.request {
        Some(Request::RequestRange(request)) => Op::Range(range(request)?),
        Some(Request::RequestPut(request)) => Op::Put(put(request)?),
        Some(Request::RequestDeleteRange(request)) => Op::DeleteRange(delete_range(request)?),
        Some(Request::RequestTxn(request)) => Op::Txn(checked(request, ops_max)?),
        None => return Err(Failure::KeyNotFound),
    })
}

/// A comparison. An operand of another kind than the target counts as that kind's zero. A target that etcd does not know
/// compares as equal to everything: it becomes a comparison that always, or never, holds.
fn compare(request: pb::Compare) -> Result<Compare, Failure> {
    let range = key_range(request.key, request.range_end)?;
    let relation = match CompareResult::try_from(request.result) {
        Ok(CompareResult::Equal) => CompareRelation::Equal,
        Ok(CompareResult::Greater) => CompareRelation::Greater,
        Ok(CompareResult::Less) => CompareRelation::Less,
        Ok(CompareResult::NotEqual) => CompareRelation::NotEqual,
        Err(_) => CompareRelation::Unknown,
    };
    let union = request.target_union;
    let (operand, relation) = match CompareTarget::try_from(request.target) {
        Ok(CompareTarget::Version) => {
            let version = if let Some(TargetUnion::Version(version)) = union { version } else { 0 };
            (CompareOperand::Version(version), relation)
        }
        Ok(CompareTarget::Create) => {
            let revision = if let Some(TargetUnion::CreateRevision(revision)) = union { revision } else { 0 };
            (CompareOperand::Create(revision), relation)
        }
        Ok(CompareTarget::Mod) => {
            let revision = if let Some(TargetUnion::ModRevision(revision)) = union { revision } else { 0 };
            (CompareOperand::Mod(revision), relation)
        }
        Ok(CompareTarget::Value) => {
            let value = if let Some(TargetUnion::Value(value)) = union { value } else { bytes::Bytes::new() };
            (CompareOperand::Value(value), relation)
        }
        Ok(CompareTarget::Lease) => {
            let lease = if let Some(TargetUnion::Lease(lease)) = union { lease } else { 0 };
            (CompareOperand::Lease(lease), relation)
        }
        // No key's version is below zero, so these always or never hold, whatever the range has.
        Err(_) => match relation {
            CompareRelation::Equal | CompareRelation::Unknown => {
                (CompareOperand::Version(-1), CompareRelation::Greater)
            }
            CompareRelation::NotEqual | CompareRelation::Greater | CompareRelation::Less => {
                (CompareOperand::Version(-1), CompareRelation::Less)
            }
        },
    };
    Ok(Compare { range, operand, relation })
}
